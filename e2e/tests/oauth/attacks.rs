//! What an attacker tries, and how it is refused. In every row an honest flow of the
//! same setting succeeds: a refusal of everything would prove nothing.

use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::oauth::{AuthorizationServer, Browser, Running, document, login_of, start};
use anyhow::{Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

struct Stage {
    provider: AuthorizationServer,
    gateway: Running,
}

impl Stage {
    async fn new() -> Result<Self> {
        let provider = AuthorizationServer::start().await?;
        let issuer = Issuer::new("https://id.example.com")?;
        let document = document(&issuer, &provider.url)?;
        let gateway = start(issuer, document).await?;
        Ok(Self { provider, gateway })
    }

    /// A browser of a user that is about to come back from the authorization server,
    /// and the address with which it does.
    async fn returning(&self, user: &str) -> Result<(Browser, Url)> {
        let token = self.gateway.token(user, &["user"])?;
        let link = self.gateway.connect_link(&token).await?;
        let mut browser = Browser::default();
        let form = login_of(&mut browser, &link, &token).await?;
        let page = browser
            .send_until(&self.at("/v1/oauth/connect"), &form, is_callback)
            .await?;
        ensure!(
            is_callback(&page.url),
            "it did not come back: {} {}",
            page.url,
            page.html()
        );
        Ok((browser, page.url))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url)
    }

    async fn connected(&self, user: &str) -> Result<usize> {
        let answer = self
            .gateway
            .send(user, Method::GET, "/v1/oauth/connections")
            .await?;
        Ok(answer.json()?["items"].as_array().map_or(0, Vec::len))
    }

    /// Nobody has a connection.
    async fn expect_unbound(&self) -> Result<()> {
        for user in ["alice", "mallory"] {
            ensure!(self.connected(user).await? == 0, "{user} has a connection");
        }
        Ok(())
    }

    /// Nobody has a connection, and an honest user still gets one.
    async fn expect_nothing_bound(&self) -> Result<()> {
        self.expect_unbound().await?;
        let (mut browser, back) = self.returning("alice").await?;
        let page = browser.open(back.as_str()).await?;
        ensure!(
            page.answer.status == StatusCode::OK,
            "an honest flow fails: {}",
            page.html()
        );
        ensure!(
            self.connected("alice").await? == 1,
            "an honest flow connects nothing"
        );
        Ok(())
    }

    async fn expect_refused(&self, browser: &mut Browser, url: &str) -> Result<()> {
        let page = browser.open(url).await?;
        let status = page.answer.status;
        ensure!(
            status.is_client_error(),
            "{url} was answered {status}: {}",
            page.html()
        );
        Ok(())
    }
}

fn is_callback(url: &Url) -> bool {
    url.path() == "/v1/oauth/callback"
}

/// An address with one parameter changed.
fn with(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(
        pairs
            .iter()
            .map(|(key, old)| (key.as_str(), if key == name { value } else { old })),
    );
    changed
}

#[tokio::test]
async fn a_link_opened_by_another_user_binds_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let mallory = stage.gateway.token("mallory", &["user"])?;
    let alice = stage.gateway.token("alice", &["user"])?;
    let link = stage.gateway.connect_link(&mallory).await?;
    let refused = login_of(&mut Browser::default(), &link, &alice).await;
    let refused = refused
        .err()
        .map(|error| format!("{error:#}"))
        .unwrap_or_default();
    ensure!(refused.contains("made for somebody else"), "{refused}");
    stage.expect_nothing_bound().await
}

#[tokio::test]
async fn a_way_begun_by_another_user_cannot_be_finished() -> Result<()> {
    let stage = Stage::new().await?;
    let (_, of_mallory) = stage.returning("mallory").await?;
    let (mut alice, _) = stage.returning("alice").await?;
    stage
        .expect_refused(&mut alice, of_mallory.as_str())
        .await?;
    stage.expect_nothing_bound().await
}

#[tokio::test]
async fn a_way_cannot_be_finished_in_another_browser_of_the_same_user() -> Result<()> {
    let stage = Stage::new().await?;
    let (_, back) = stage.returning("alice").await?;
    let (mut other, _) = stage.returning("alice").await?;
    stage.expect_refused(&mut other, back.as_str()).await?;
    stage
        .expect_refused(&mut Browser::default(), back.as_str())
        .await?;
    stage.expect_nothing_bound().await
}

#[tokio::test]
async fn a_state_is_used_once() -> Result<()> {
    let stage = Stage::new().await?;
    let (mut browser, back) = stage.returning("alice").await?;
    let first = browser.open(back.as_str()).await?;
    assert_eq!(first.answer.status, StatusCode::OK, "{}", first.html());
    let again = browser.open(back.as_str()).await?;
    assert_eq!(
        again.answer.status,
        StatusCode::BAD_REQUEST,
        "{}",
        again.html()
    );
    Ok(())
}

/// What somebody makes of the URL that a browser is sent back with.
type Change = fn(&Url) -> Url;

#[tokio::test]
async fn what_comes_back_otherwise_than_it_was_sent_away_is_refused() -> Result<()> {
    let stage = Stage::new().await?;
    let changes: [(&str, Change); 9] = [
        ("another issuer", |url| {
            with(url, "iss", "https://evil.example")
        }),
        ("the issuer with a slash", |url| {
            with(
                url,
                "iss",
                &format!("{}/", url.origin().ascii_serialization()),
            )
        }),
        ("no issuer", |url| without(url, "iss")),
        ("no state", |url| without(url, "state")),
        ("an invented state", |url| with(url, "state", "AAAA")),
        ("no code", |url| without(url, "code")),
        ("an invented code", |url| with(url, "code", "code-0")),
        ("an error beside the code", |url| {
            added(url, "error", "access_denied")
        }),
        ("two codes", |url| added(url, "code", "code-0")),
    ];
    for (what, change) in changes {
        let (mut browser, back) = stage.returning("alice").await?;
        let page = browser.open(change(&back).as_str()).await?;
        ensure!(
            page.answer.status.is_client_error(),
            "{what}: {} {}",
            page.answer.status,
            page.html()
        );
    }
    stage.expect_nothing_bound().await
}

fn without(url: &Url, name: &str) -> Url {
    let pairs: Vec<_> = url
        .query_pairs()
        .into_owned()
        .filter(|(key, _)| key != name)
        .collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(pairs);
    changed
}

fn added(url: &Url, name: &str, value: &str) -> Url {
    let mut changed = url.clone();
    changed.query_pairs_mut().append_pair(name, value);
    changed
}

#[tokio::test]
async fn variants_of_the_redirect_uri_lead_nowhere() -> Result<()> {
    let stage = Stage::new().await?;
    for path in [
        "/v1/oauth/callback/",
        "//v1/oauth/callback",
        "/v1/oauth/Callback",
        "/v1/oauth/callback%2f",
        "/v1/oauth/x/../callbac",
    ] {
        let (mut browser, back) = stage.returning("alice").await?;
        let url = format!(
            "{}{path}?{}",
            stage.gateway.url,
            back.query().unwrap_or_default()
        );
        stage.expect_refused(&mut browser, &url).await?;
    }
    stage.expect_nothing_bound().await
}

#[tokio::test]
async fn an_authorization_server_that_names_another_than_itself_is_found_out() -> Result<()> {
    let stage = Stage::new().await?;
    stage
        .provider
        .behave(|behaviour| behaviour.issuer = Some("https://evil.example".to_owned()));
    let (mut browser, back) = stage.returning("alice").await?;
    stage.expect_refused(&mut browser, back.as_str()).await?;
    stage.provider.behave(|behaviour| behaviour.issuer = None);
    stage.expect_nothing_bound().await
}

/// What the authorization server says of itself, and what it would be good for.
#[tokio::test]
async fn metadata_that_is_not_to_be_believed_sends_no_browser_anywhere() -> Result<()> {
    let rows: [(&str, Value); 8] = [
        (
            "no PKCE",
            json!({ "code_challenge_methods_supported": null }),
        ),
        (
            "PKCE in the plain",
            json!({ "code_challenge_methods_supported": ["plain"] }),
        ),
        (
            "another issuer",
            json!({ "issuer": "https://evil.example" }),
        ),
        (
            "a script",
            json!({ "authorization_endpoint": "javascript:alert(1)" }),
        ),
        (
            "a file",
            json!({ "authorization_endpoint": "file:///etc/passwd" }),
        ),
        (
            "a program",
            json!({ "authorization_endpoint": "a:$(open -a Calculator)" }),
        ),
        (
            "a redirect of its own",
            json!({ "authorization_endpoint": "http://127.0.0.1:1/a?redirect_uri=https://evil.example" }),
        ),
        (
            "a token endpoint of another scheme",
            json!({ "token_endpoint": "gopher://127.0.0.1/x" }),
        ),
    ];
    for (what, metadata) in rows {
        let stage = Stage::new().await?;
        stage
            .provider
            .behave(|behaviour| behaviour.metadata = Some(metadata));
        let token = stage.gateway.token("alice", &["user"])?;
        let link = stage.gateway.connect_link(&token).await?;
        let mut browser = Browser::default();
        let form = login_of(&mut browser, &link, &token).await?;
        let page = browser.send(&stage.at("/v1/oauth/connect"), &form).await?;
        let status = page.answer.status;
        ensure!(
            status == StatusCode::BAD_GATEWAY,
            "{what}: {status} {}",
            page.html()
        );
        stage.expect_unbound().await?;
    }
    // With its own document, the same server is used.
    Stage::new().await?.expect_nothing_bound().await
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let token = stage.gateway.token("alice", &["user"])?;
    let link = stage.gateway.connect_link(&token).await?;
    let mut browser = Browser::default();
    let form = login_of(&mut browser, &link, &token).await?;
    for path in ["/v1/oauth/connect", "/v1/oauth/connections"] {
        let mut forged = form.clone();
        forged.insert("csrf".to_owned(), "AAAA".to_owned());
        forged.insert("holder".to_owned(), "user".to_owned());
        let page = browser.send(&stage.at(path), &forged).await?;
        ensure!(
            page.answer.status == StatusCode::FORBIDDEN,
            "{path}: {}",
            page.html()
        );
    }
    stage.expect_nothing_bound().await
}

#[tokio::test]
async fn a_login_that_another_site_begins_is_refused() -> Result<()> {
    let stage = Stage::new().await?;
    let form = [
        ("csrf".to_owned(), "AAAA".to_owned()),
        (
            "token".to_owned(),
            stage.gateway.token("mallory", &["user"])?,
        ),
    ];
    let page = Browser::default()
        .send(&stage.at("/v1/oauth/login"), &form.into())
        .await?;
    ensure!(
        page.answer.status == StatusCode::BAD_REQUEST,
        "{}",
        page.html()
    );
    ensure!(
        page.answer.headers.get("set-cookie").is_none(),
        "the browser was logged in"
    );
    stage.expect_nothing_bound().await
}

#[tokio::test]
async fn the_link_leads_back_to_no_other_site() -> Result<()> {
    let stage = Stage::new().await?;
    let (mut browser, _) = stage.returning("alice").await?;
    for query in [
        "organization=acme&server=notes&for=//evil.example",
        "organization=acme&server=//evil.example&for=x",
    ] {
        let page = browser
            .open(&stage.at(&format!("/v1/oauth/connect?{query}")))
            .await?;
        ensure!(
            page.url.as_str().starts_with(&stage.gateway.url),
            "{}",
            page.url
        );
        ensure!(page.answer.status.is_client_error(), "{}", page.html());
    }
    Ok(())
}
