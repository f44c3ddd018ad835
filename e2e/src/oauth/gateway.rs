//! A gateway with one organization, whose server `notes` takes tokens of an
//! authorization server.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentapi_crds::tenant_config::{SecretReference, TenantConfig};
use agentapi_gateway::config::Config;
use agentapi_gateway::serve::{Embedding, Gateway, ServeError};
use agentapi_gateway::tenants::Installer;
use agentapi_gateway::upstream::{SecretError, Secrets};
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use http::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::authorization_server::{CLIENT_ID, CLIENT_SECRET};
use super::browser::{Browser, fields};
use crate::client::{Answer, Client};
use crate::issuer::{AUDIENCE, Issuer};

/// Name of the MCP server.
pub const SERVER: &str = "notes";
/// A key ring for tests.
pub const ENCRYPTION_KEYS: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The gateway's registration at the authorization server of the tests.
pub struct OneClient;

#[async_trait]
impl Secrets for OneClient {
    async fn read(&self, wanted: &SecretReference) -> Result<SecretString, SecretError> {
        match wanted.key.as_str() {
            "clientId" => Ok(CLIENT_ID.to_owned().into()),
            "clientSecret" => Ok(CLIENT_SECRET.to_owned().into()),
            key => Err(SecretError::Missing {
                namespace: wanted.namespace.clone(),
                name: wanted.name.clone(),
                key: key.to_owned(),
            }),
        }
    }
}

/// The organization acme, whose server takes each user's token of `provider`.
pub fn document(issuer: &Issuer, provider: &str) -> Result<TenantConfig> {
    document_of(issuer, provider, &format!("{provider}/mcp"), "User")
}

/// The same with the server elsewhere, and with tokens of that scope.
pub fn document_of(
    issuer: &Issuer,
    provider: &str,
    server: &str,
    scope: &str,
) -> Result<TenantConfig> {
    let secret = |key: &str| json!({ "namespace": "org-acme", "name": "client", "key": key, "resourceVersion": "1" });
    let document = json!({
        "schemaVersion": 1, "minReader": 1, "revision": "", "organization": "acme",
        "tenantId": "00000000-0000-0000-0000-000000000ace", "namespace": "org-acme",
        "displayName": "Acme", "suspended": false,
        "identity": { "serviceAccounts": false, "issuers": [{
            "issuer": issuer.url, "keys": { "inline": issuer.key_set() }, "audiences": [AUDIENCE],
            "claims": { "user": "sub", "organization": "org_id", "roles": "roles" },
            "organizationValue": "acme",
        }] },
        "egress": [{ "destination": { "cidr": "127.0.0.0/8" }, "ports": [] }],
        "sessions": { "maxPerUser": 1000, "idleTimeoutSeconds": 600, "maxLifetimeSeconds": 3600 },
        "rateLimits": {
            "perUser": { "requestsPerMinute": 60000, "burst": 10000 }, "overrides": {}, "organization": null,
        },
        "audit": { "retentionDays": 365, "durability": "synchronous" },
        "eventSinks": [],
        "servers": [{
            "name": SERVER,
            "target": { "remote": { "url": server, "transport": "StreamableHttp", "caBundle": null } },
            "credentials": [], "credentialScope": scope,
            "oauth": {
                "authorizationServer": { "oidc": { "issuer": provider } },
                "client": { "id": secret("clientId"), "secret": secret("clientSecret"), "allowedHosts": [] },
                "scopes": ["read"], "resource": null,
            },
            "tools": { "prefix": null, "allow": [], "deny": [] },
            "limits": { "requestBytes": 1048576, "resultBytes": 1048576 },
            "timeoutSeconds": 60,
            "retries": { "attempts": 0, "backoffMilliseconds": 100 },
            "breaker": { "failures": 1000, "openSeconds": 1 },
        }],
        "prompts": [],
    });
    let config: TenantConfig = serde_json::from_value(document)?;
    Ok(config.sealed()?)
}

/// Assembles a gateway with one organization; `ready` is told where it listens.
///
/// # Errors
/// When it cannot be assembled, or fails.
pub async fn serve(
    config: Config,
    document: TenantConfig,
    shutdown: CancellationToken,
    ready: impl FnOnce(Installer, String),
) -> Result<(), ServeError> {
    let embedding = Embedding {
        secrets: Arc::new(OneClient),
        development: None,
        service_accounts: None,
        processes: false,
    };
    let gateway = Gateway::assemble(config, embedding).await?;
    let installer = gateway.installer();
    if let Err(error) = installer.install(document) {
        tracing::error!(%error, "the document is refused");
    }
    gateway.synced().send_replace(true);
    gateway
        .run(shutdown, move |addresses| {
            ready(installer, format!("http://{}", addresses.public));
        })
        .await
}

/// A gateway in the test's own process, on SQLite in memory.
pub struct Running {
    /// Its base URL.
    pub url: String,
    /// Puts documents into service.
    pub installer: Installer,
    /// What it was started with.
    pub document: TenantConfig,
    issuer: Issuer,
    _stop: DropGuard,
    _task: JoinHandle<Result<(), ServeError>>,
}

/// Starts one with a document.
pub async fn start(issuer: Issuer, document: TenantConfig) -> Result<Running> {
    start_at("127.0.0.1:0", issuer, document).await
}

/// Starts one that listens there.
pub async fn start_at(listen: &str, issuer: Issuer, document: TenantConfig) -> Result<Running> {
    let variables = [
        ("AGENTAPI_LISTEN", listen),
        ("AGENTAPI_ADMIN_LISTEN", "127.0.0.1:0"),
        ("AGENTAPI_DATABASE_URL", "sqlite::memory:"),
        ("AGENTAPI_OUTBOUND_ALLOW", "127.0.0.0/8"),
        ("AGENTAPI_ENCRYPTION_KEYS", ENCRYPTION_KEYS),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::read(variables)?;
    let shutdown = CancellationToken::new();
    let (ready, started) = oneshot::channel();
    let served = document.clone();
    let task = tokio::spawn(serve(config, served, shutdown.clone(), |installer, url| {
        drop(ready.send((installer, url)));
    }));
    let (installer, url) = started.await.context("the gateway did not start")?;
    Ok(Running {
        url,
        installer,
        document,
        issuer,
        _stop: shutdown.drop_guard(),
        _task: task,
    })
}

impl Running {
    /// A bearer of a user.
    pub fn token(&self, user: &str, roles: &[&str]) -> Result<String> {
        self.issuer.token("acme", user, roles)
    }

    /// One request of a user.
    pub async fn send(&self, user: &str, method: Method, path: &str) -> Result<Answer> {
        self.send_as(&self.token(user, &["user"])?, method, path)
            .await
    }

    /// One request with a bearer.
    pub async fn send_as(&self, token: &str, method: Method, path: &str) -> Result<Answer> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer)];
        Client::new(&self.url)
            .send(method, path, &headers, "")
            .await
    }

    /// The link by which a user connects their account.
    pub async fn connect_link(&self, token: &str) -> Result<String> {
        let path = format!("/v1/oauth/{SERVER}/authorize");
        let answer = self.send_as(token, Method::POST, &path).await?;
        ensure!(answer.status == StatusCode::OK, "no link: {answer:?}");
        let link = answer.json()?["connectUrl"].as_str().map(str::to_owned);
        link.context("the answer has no connectUrl")
    }

    /// Connects a user's account, as a person does.
    pub async fn connect(&self, user: &str, roles: &[&str]) -> Result<Browser> {
        let token = self.token(user, roles)?;
        let mut browser = Browser::default();
        let link = self.connect_link(&token).await?;
        let page = login_of(&mut browser, &link, &token).await?;
        let sent = browser
            .send(&format!("{}/v1/oauth/connect", self.url), &page)
            .await?;
        ensure!(
            sent.html().contains("Connected"),
            "not connected: {}",
            sent.html()
        );
        Ok(browser)
    }

    /// Calls the tool `whoami` as a user; the JSON-RPC message.
    pub async fn call(&self, user: &str) -> Result<Value> {
        let token = self.token(user, &["user"])?;
        let url = format!("{}/mcp", self.url);
        let mcp = crate::mcp::Mcp::connect(&url, Some(&token)).await?;
        mcp.message(
            "tools/call",
            json!({ "name": "notes__whoami", "arguments": {} }),
        )
        .await
    }
}

/// Opens a connect link and logs in with a token; the fields of the form that asks
/// whether to connect.
pub async fn login_of(
    browser: &mut Browser,
    link: &str,
    token: &str,
) -> Result<BTreeMap<String, String>> {
    let page = browser.open(link).await?;
    let mut login = fields(&page.html())?;
    login.insert("token".to_owned(), token.to_owned());
    let origin = page.url.origin().ascii_serialization();
    let page = browser
        .send(&format!("{origin}/v1/oauth/login"), &login)
        .await?;
    ensure!(
        page.answer.status == StatusCode::OK,
        "{}: {}",
        page.answer.status,
        page.html()
    );
    fields(&page.html())
}
