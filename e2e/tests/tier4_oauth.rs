//! The whole way with a real authorization server (oidc-provider) and a real MCP
//! server (FastMCP) that checks its tokens: log in, consent, call a tool, refresh, disconnect.

use std::net::TcpListener;
use std::path::PathBuf;

use agentapi_crds::tenant_config::{LoginConfig, TenantConfig};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::oauth::{Browser, Page, Running, SERVER, document_of, fields, start_at};
use agentapi_e2e::program::{Program, setting};
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use regex::Regex;
use serde_json::{Value, json};
use url::Url;

const USER: &str = "alice";

struct Stage {
    provider: Program,
    _server: Program,
    gateway: Running,
}

impl Stage {
    async fn new() -> Result<Self> {
        // The provider knows the gateway's redirect URIs, and the gateway the provider's issuer.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("http://127.0.0.1:{port}");
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/node/authorization_server.mjs"
        );
        let provider = Program::start("node".as_ref(), &[script, "acme", &url], &[]).await?;
        let python = PathBuf::from(setting("AGENTAPI_TEST_PYTHON")?);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/python/protected.py");
        let server = Program::start(&python, &[script], &[("ISSUER", &provider.address)]).await?;
        let issuer = Issuer::new("https://id.example.com")?;
        let document = document(&issuer, &provider.address, &server.address)?;
        Ok(Self {
            gateway: start_at(&format!("127.0.0.1:{port}"), issuer, document).await?,
            provider,
            _server: server,
        })
    }

    /// Connects the account of whoever logs in at the provider.
    async fn connect(&self, browser: &mut Browser, as_user: &str) -> Result<Page> {
        let token = self.gateway.token(USER, &["user"])?;
        let link = self.gateway.connect_link(&token).await?;
        let page = browser.open(&link).await?;
        let page = self.interact(browser, page, as_user).await?;
        if page.answer.status != StatusCode::OK {
            return Ok(page);
        }
        let form = fields(&page.html())?;
        let page = browser
            .send(&format!("{}/v1/oauth/connect", self.gateway.url), &form)
            .await?;
        self.interact(browser, page, as_user).await
    }

    /// Fills in the provider's forms until it sends the browser back.
    async fn interact(&self, browser: &mut Browser, mut page: Page, user: &str) -> Result<Page> {
        let action = Regex::new(r#"<form[^>]* action="([^"]+)""#)?;
        let provider = Url::parse(&self.provider.address)?;
        while page.url.origin() == provider.origin() {
            let html = page.html();
            let form = action.captures(&html);
            let form = form.with_context(|| format!("{}: no form: {html}", page.url))?;
            let target = page.url.join(&form[1])?;
            let mut filled = fields(&html)?;
            filled.insert("login".to_owned(), user.to_owned());
            filled.insert("password".to_owned(), "whatever".to_owned());
            page = browser.send(target.as_str(), &filled).await?;
        }
        Ok(page)
    }
}

/// The organization: people log in at the provider, and its server takes its tokens.
fn document(issuer: &Issuer, provider: &str, server: &str) -> Result<TenantConfig> {
    let mut document = document_of(issuer, provider, server, "User")?;
    let mut login = document.identity.issuers[0].clone();
    login.issuer = provider.to_owned();
    login.keys = agentapi_crds::tenant_config::IssuerKeys::Discovery;
    login.login = Some(LoginConfig {
        client_id: "login".to_owned(),
    });
    document.identity.issuers.push(login);
    for server in &mut document.servers {
        if let Some(oauth) = &mut server.oauth {
            oauth.scopes = vec!["openid".to_owned()];
        }
    }
    Ok(document.sealed()?)
}

fn text(message: &Value) -> Option<&str> {
    message
        .pointer("/result/content/0/text")
        .and_then(Value::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_connected_used_refreshed_and_revoked_at_a_real_provider() -> Result<()> {
    let stage = Stage::new().await?;
    let page = stage.connect(&mut Browser::default(), USER).await?;
    ensure!(
        page.html().contains("Connected"),
        "{}: {}",
        page.url,
        page.html()
    );

    let called = stage.gateway.call(USER).await?;
    assert_eq!(text(&called), Some(USER), "{called}");

    let path = format!("/v1/oauth/{SERVER}/refresh");
    let refreshed = stage.gateway.send(USER, Method::POST, &path).await?;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    let called = stage.gateway.call(USER).await?;
    assert_eq!(text(&called), Some(USER), "after the refresh: {called}");

    let path = format!("/v1/oauth/{SERVER}");
    let ended = stage.gateway.send(USER, Method::DELETE, &path).await?;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{ended:?}");
    // It is removed when the provider has answered that it is revoked.
    eventually("the provider has revoked the tokens", async || {
        let left = stage
            .gateway
            .send(USER, Method::GET, "/v1/oauth/connections")
            .await?;
        let left = left.json()?["items"].take();
        ensure!(left == json!([]), "{left}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_in_as_somebody_else_connects_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let page = stage.connect(&mut Browser::default(), "mallory").await?;
    assert_eq!(page.answer.status, StatusCode::FORBIDDEN, "{}", page.html());
    let left = stage
        .gateway
        .send(USER, Method::GET, "/v1/oauth/connections")
        .await?;
    assert_eq!(left.json()?["items"], json!([]));
    Ok(())
}
