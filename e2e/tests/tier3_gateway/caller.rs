//! A caller whose credential is a token of a service account.

use agentapi_e2e::client::{Answer, Client};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::Organization;
use anyhow::{Result, ensure};
use http::{Method, StatusCode};

/// A token of a service account (TokenRequest API). Without audience it is for the API server.
pub(crate) async fn token(
    organization: &Organization,
    namespace: &str,
    account: &str,
    audience: Option<&str>,
) -> Result<String> {
    let mut arguments = vec!["create", "token", account, "-n", namespace];
    arguments.extend(
        audience
            .iter()
            .flat_map(|audience| ["--audience", audience]),
    );
    let token = organization.cluster.kubectl(&arguments, "").await?;
    Ok(token.trim().to_owned())
}

/// Makes a service account and returns a token of it for agents.
pub(crate) async fn runner(organization: &Organization, name: &str) -> Result<String> {
    let namespace = organization.namespace.as_str();
    let arguments = ["create", "serviceaccount", name, "-n", namespace];
    organization.cluster.kubectl(&arguments, "").await?;
    token(organization, namespace, name, Some("agentapi")).await
}

/// Asks the gateway something by a token.
pub(crate) async fn ask(
    organization: &Organization,
    method: Method,
    path: &str,
    token: &str,
) -> Result<Answer> {
    let authorization = format!("Bearer {token}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("accept", agentapi_e2e::client::MCP_ACCEPT),
    ];
    let gateway = Client::new(&organization.cluster.gateway);
    gateway.send(method, path, &headers, "{}").await
}

/// Waits until a token is answered so.
pub(crate) async fn becomes(
    organization: &Organization,
    token: &str,
    expected: StatusCode,
) -> Result<()> {
    eventually(&format!("{expected} for the token"), async || {
        let answer = ask(organization, Method::GET, "/v1/sessions", token).await?;
        ensure!(
            answer.status == expected,
            "it is {} {:?}",
            answer.status,
            answer.body
        );
        Ok(())
    })
    .await
}

/// A spec that lets the gateway reach loopback, where the tests' servers are,
/// and its users call as often as tests do.
pub(crate) const WITH_LOOPBACK: &str = "{network: {egress: [{cidr: 127.0.0.0/8}]}, rateLimits: {requestsPerMinute: 60000, burst: 1000}}";
