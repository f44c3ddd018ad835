//! What is disconnected is revoked at its authorization server, as often as it takes.

use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::tenant_config::{EgressConfig, EgressDestination};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::connect::holder_of;
use super::token_endpoint::{self, Form, basic, sensitive, uri};
use super::tokens::Tokens;
use super::{Holding, OAuth, OAuthError};
use crate::domain::oauth::{Revocation, TokenError};
use crate::store::{Connection, TenantId};
use crate::telemetry::chain;
use crate::tenants::Tenant;
use crate::upstream::{EgressPolicy, HttpClient};

/// Pause between two looks, where nothing tells that there is something to do.
const PAUSE: Duration = Duration::from_secs(5);
/// How long one attempt keeps others away.
const ATTEMPT_SECONDS: u32 = 60;
/// Revocations at one time.
const CONCURRENCY: usize = 8;
/// Pause after the first failure; doubles with each, up to an hour.
const FIRST_PAUSE_SECONDS: u32 = 10;
const LONGEST_PAUSE_SECONDS: u32 = 3600;
/// Attempts after which a person must look: about half a day.
const MOST_ATTEMPTS: i64 = 20;
/// GitHub's API refuses requests that do not say from whom they are.
const USER_AGENT: HeaderValue = HeaderValue::from_static("agentapi-gateway");

impl OAuth {
    /// Ends a holder's connection; `false` if there is none. Its tokens are used no
    /// longer, here at once and by other replicas within seconds, and revoked soon.
    ///
    /// # Errors
    /// [`OAuthError::Store`].
    pub async fn disconnect(
        &self,
        tenant: TenantId,
        server: &str,
        holder: Option<&str>,
    ) -> Result<bool, OAuthError> {
        let ended = self.store().disconnect(tenant, server, holder).await?;
        let holding = Holding {
            tenant,
            server: server.into(),
            holder: holder.map(Arc::from),
        };
        self.forget(&holding).await;
        self.0.revocations.notify_one();
        Ok(ended)
    }

    /// Makes this replica ask the store about all connections of a user again.
    pub async fn forget_user(&self, tenant: &Tenant, user: &Arc<str>) {
        for server in tenant.servers.values() {
            let holding = Holding {
                tenant: tenant.id,
                server: server.name().into(),
                holder: holder_of(&server.config, Some(user)),
            };
            self.forget(&holding).await;
        }
        self.0.revocations.notify_one();
    }

    /// Revokes what is to be revoked, of all organizations, until `stop`.
    pub async fn revoke_all(self, stop: CancellationToken) {
        loop {
            match self.store().due_revocations().await {
                Ok(due) => {
                    stream::iter(due)
                        .for_each_concurrent(CONCURRENCY, |(tenant, id)| self.attempt(tenant, id))
                        .await;
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "revocations cannot be looked up");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.revocations.notified() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn attempt(&self, tenant: TenantId, id: Uuid) {
        if let Err(error) = self.try_to_revoke(tenant, id).await {
            tracing::warn!(connection = %id, error = chain(&error), "a revocation is not settled");
        }
    }

    async fn try_to_revoke(&self, tenant: TenantId, id: Uuid) -> Result<(), OAuthError> {
        let taken = self.store().take_revocation(tenant, id, ATTEMPT_SECONDS);
        let Some(connection) = taken.await? else {
            return Ok(());
        };
        let revoked = self.revoke(tenant, &connection).await;
        let outcome = revoked.as_ref().err().map_or("success", OAuthError::code);
        self.parts().metrics.oauth("revoke", outcome);
        let Err(error) = revoked else {
            let version = connection.version;
            return Ok(self.store().finish_revocation(tenant, id, version).await?);
        };
        let attempts = connection.attempts;
        if attempts >= MOST_ATTEMPTS {
            self.parts().metrics.oauth("revoke", "abandoned");
            let (server, issuer) = (&*connection.server, &*connection.issuer);
            tracing::error!(server, issuer, connection = %id, "tokens were not revoked: revoke them at their authorization server");
            self.store().abandon_revocation(tenant, id).await?;
        } else {
            let doubled =
                FIRST_PAUSE_SECONDS << attempts.clamp(1, 10).unsigned_abs().saturating_sub(1);
            let pause = doubled.min(LONGEST_PAUSE_SECONDS);
            self.store().postpone_revocation(tenant, id, pause).await?;
        }
        Err(error)
    }

    async fn revoke(&self, tenant: TenantId, connection: &Connection) -> Result<(), OAuthError> {
        let tokens = self.opened(tenant, connection)?;
        match &tokens.revocation {
            Revocation::None => Ok(()),
            Revocation::Standard(url) => {
                let http = self.http_to(tenant, url)?;
                // The refresh token first: the grant ends with it (RFC 7009, section 2.1).
                if let Some(refresh) = &tokens.refresh {
                    revoke(&http, url, &tokens, refresh, "refresh_token").await?;
                }
                revoke(&http, url, &tokens, &tokens.access, "access_token").await
            }
            Revocation::GitHub => {
                let url = github(&tokens.client.id)?;
                let http = self.http_to(tenant, &url)?;
                delete_at_github(&http, &url, &tokens).await
            }
        }
    }

    /// HTTP within the organization's egress. One that is gone had declared the
    /// authorization server when the account was connected: exactly that is dialled.
    fn http_to(&self, tenant: TenantId, url: &Url) -> Result<HttpClient, OAuthError> {
        if let Some(tenant) = self.parts().tenants.by_id(tenant) {
            return Ok(tenant.http.clone());
        }
        let host = url.host_str().unwrap_or_default();
        let destination = match host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
            Ok(address) => EgressDestination::Cidr(address.into()),
            Err(_) => EgressDestination::Host(host.to_owned()),
        };
        let only = EgressConfig {
            destination,
            ports: url.port_or_known_default().into_iter().collect(),
        };
        let policy = EgressPolicy::declared(&[only]);
        Ok(HttpClient::new(&self.parts().dialer, policy, None)?)
    }
}

/// RFC 7009, section 2.1.
async fn revoke(
    http: &HttpClient,
    url: &Url,
    tokens: &Tokens,
    token: &SecretString,
    hint: &str,
) -> Result<(), OAuthError> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let form = Form::new()
        .with_secret("token", token)
        .with("token_type_hint", hint);
    let answer = form
        .send(http, url, &tokens.client, tokens.secret_in_body)
        .await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let error = serde_json::from_slice(answer.body()).map(|refusal: Refusal| refusal.error);
    match error.as_deref() {
        // Section 2.2.1; and Google, of a token that has ended.
        Ok("unsupported_token_type" | "invalid_token") => Ok(()),
        _ => Err(TokenError::Request(status.to_string()).into()),
    }
}

/// Where GitHub revokes a token of a client ("Delete an app token").
fn github(client_id: &str) -> Result<Url, OAuthError> {
    let mut url =
        Url::parse("https://api.github.com/applications").map_err(|_| OAuthError::State)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(client_id).push("token");
    }
    Ok(url)
}

async fn delete_at_github(http: &HttpClient, url: &Url, tokens: &Tokens) -> Result<(), OAuthError> {
    let body = serde_json::json!({ "access_token": tokens.access.expose_secret() });
    let mut request = Request::new(Full::<Bytes>::from(body.to_string()));
    *request.method_mut() = Method::DELETE;
    *request.uri_mut() = uri(url)?;
    let headers = request.headers_mut();
    headers.insert(
        header::ACCEPT,
        HeaderValue::from_static("application/vnd.github+json"),
    );
    headers.insert(header::USER_AGENT, USER_AGENT);
    if let Some(secret) = &tokens.client.secret {
        let authorization = basic(&tokens.client.id, secret);
        headers.insert(header::AUTHORIZATION, sensitive(&authorization)?);
    }
    let answer = token_endpoint::send(http, request).await?;
    match answer.status() {
        // What it does not know is revoked.
        StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(()),
        status => Err(TokenError::Request(status.to_string()).into()),
    }
}
