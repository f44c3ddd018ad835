//! One suite of the HTTP surface, told only an address and how to get tokens.
//!
//! It runs against `agentapi dev` and against the gateway on Kubernetes; both
//! must produce the same [`Transcript`]. What is asserted here is what must hold
//! whatever the transcript says, so that two equal mistakes do not pass.

mod audit;
mod identity;
mod mcp;
mod mcp_servers;
mod prompts;
mod sessions;
pub mod setting;

use anyhow::{Result, ensure};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::client::{Answer, Client, MCP_ACCEPT};
use crate::issuer::Issuer;
use crate::transcript::Transcript;

/// A service under test.
pub struct Suite<'a> {
    client: Client,
    issuer: &'a Issuer,
    /// URL of an MCP server that users may add as their own.
    clock: &'a str,
    transcript: Transcript,
    started: Timestamp,
}

/// Who asks: the organization and user a token is made for.
#[derive(Clone, Copy)]
struct Who {
    organization: &'static str,
    user: &'static str,
    roles: &'static [&'static str],
}

/// A user of the first organization.
const ALICE: Who = Who {
    organization: setting::FIRST,
    user: "alice",
    roles: &["user"],
};
/// Another user of the first organization.
const BOB: Who = Who {
    organization: setting::FIRST,
    user: "bob",
    roles: &["user"],
};
/// An administrator of the first organization.
const ADA: Who = Who {
    organization: setting::FIRST,
    user: "ada",
    roles: &["admin"],
};
/// A user of the second organization.
const MALLORY: Who = Who {
    organization: setting::SECOND,
    user: "mallory",
    roles: &["admin"],
};

impl<'a> Suite<'a> {
    /// A suite for the service at `base`, whose organizations trust `issuer` and
    /// may dial the MCP server at `clock`.
    pub fn new(base: &str, issuer: &'a Issuer, clock: &'a str) -> Result<Self> {
        Ok(Self {
            client: Client::new(base),
            issuer,
            clock,
            transcript: Transcript::new(base)?,
            started: Timestamp::now(),
        })
    }

    /// Runs everything and returns the normalised transcript.
    pub async fn run(mut self) -> Result<String> {
        identity::run(&mut self).await?;
        let session = sessions::run(&mut self).await?;
        mcp::run(&mut self, &session).await?;
        mcp_servers::run(&mut self).await?;
        prompts::run(&mut self).await?;
        audit::run(&mut self).await?;
        sessions::end(&mut self, &session).await?;
        Ok(self.transcript.text().to_owned())
    }

    /// One request as somebody, noted in the transcript under the name of its step.
    async fn call(
        &mut self,
        step: &str,
        who: Who,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer> {
        let token = self.issuer.token(who.organization, who.user, who.roles)?;
        self.send(
            step,
            &[("authorization", &format!("Bearer {token}"))],
            method,
            path,
            body,
        )
        .await
    }

    /// One request with the given header fields, noted in the transcript.
    async fn send(
        &mut self,
        step: &str,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer> {
        let mut headers = headers.to_vec();
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.raw(step, &headers, method, path, body).await
    }

    /// One request with exactly these header fields and bytes, noted in the transcript.
    async fn raw(
        &mut self,
        step: &str,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Answer> {
        let answer = self.client.send(method, path, headers, body).await?;
        self.transcript.add(step, &answer)?;
        Ok(answer)
    }

    /// One MCP message of a session, as bytes.
    async fn message(
        &mut self,
        step: &str,
        who: Who,
        path: &str,
        session: Option<&str>,
        body: String,
    ) -> Result<Answer> {
        let authorization = format!(
            "Bearer {}",
            self.issuer.token(who.organization, who.user, who.roles)?
        );
        let mut headers = vec![
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("accept", MCP_ACCEPT),
        ];
        if let Some(session) = session {
            headers.extend([
                ("mcp-session-id", session),
                ("mcp-protocol-version", "2025-11-25"),
            ]);
        }
        self.raw(step, &headers, Method::POST, path, body).await
    }
}

/// Fails with what was answered unless the status is the expected one.
fn expect_status(step: &str, answer: &Answer, expected: StatusCode) -> Result<()> {
    ensure!(
        answer.status == expected,
        "{step}: expected {expected}, got {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(())
}

/// A problem document without its request id: what must not tell two refusals apart.
fn without_request_id(answer: &Answer) -> Result<Value> {
    let mut problem = answer.json()?;
    if let Some(problem) = problem.as_object_mut() {
        problem.remove("requestId");
    }
    Ok(problem)
}
