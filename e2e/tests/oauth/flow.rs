//! The life of a connection.

use agentapi_crds::tenant_config::{RemoteTransport, ServerTarget};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::oauth::{
    AuthorizationServer, Browser, Running, SERVER, document_of, fields, login_of, start,
};
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example.com";

async fn setting() -> Result<(AuthorizationServer, Running)> {
    setting_of("User").await
}

async fn setting_of(scope: &str) -> Result<(AuthorizationServer, Running)> {
    let provider = AuthorizationServer::start().await?;
    let issuer = Issuer::new(ISSUER)?;
    let server = format!("{}/mcp", provider.url);
    let document = document_of(&issuer, &provider.url, &server, scope)?;
    Ok((provider, start(issuer, document).await?))
}

/// The token with which the server was called.
fn sent(message: &Value) -> Result<&str> {
    let text = message
        .pointer("/result/content/0/text")
        .and_then(Value::as_str);
    text.with_context(|| format!("the call was not answered: {message}"))
}

fn code(message: &Value) -> &str {
    message
        .pointer("/error/data/code")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

async fn connections(gateway: &Running, user: &str) -> Result<Value> {
    let answer = gateway
        .send(user, Method::GET, "/v1/oauth/connections")
        .await?;
    ensure!(answer.status == StatusCode::OK, "{answer:?}");
    Ok(answer.json()?["items"].take())
}

#[tokio::test]
async fn an_account_that_is_not_connected_answers_with_a_link() -> Result<()> {
    let (_provider, gateway) = setting().await?;
    let message = gateway.call("alice").await?;
    assert_eq!(code(&message), "not_connected", "{message}");
    let link = message
        .pointer("/error/data/connectUrl")
        .and_then(Value::as_str);
    let expected = gateway
        .connect_link(&gateway.token("alice", &["user"])?)
        .await?;
    assert_eq!(link, Some(&*expected));
    Ok(())
}

#[tokio::test]
async fn a_list_says_which_account_is_not_connected() -> Result<()> {
    let (_provider, gateway) = setting().await?;
    let token = gateway.token("alice", &["user"])?;
    let url = format!("{}/mcp", gateway.url);
    let mcp = agentapi_e2e::mcp::Mcp::connect(&url, Some(&token)).await?;
    let listed = mcp.message("tools/list", json!({})).await?;
    let failure = listed.pointer("/result/_meta/agentapi.dev~1failures/0");
    let failure = failure.with_context(|| format!("no failure: {listed}"))?;
    assert_eq!(failure["code"], "not_connected", "{failure}");
    assert!(failure["connectUrl"].is_string(), "{failure}");
    Ok(())
}

#[tokio::test]
async fn a_connected_account_is_used_for_its_user_alone() -> Result<()> {
    let (provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    assert!(sent(&gateway.call("alice").await?)?.starts_with("access-"));
    assert_eq!(code(&gateway.call("bob").await?), "not_connected");
    let bearer = gateway.token("alice", &["user"])?;
    let leaked = provider
        .seen()
        .into_iter()
        .find(|seen| seen.contains(&bearer));
    assert_eq!(leaked, None, "the caller's own token reached the server");
    Ok(())
}

#[tokio::test]
async fn a_refused_token_is_refreshed_and_the_call_succeeds() -> Result<()> {
    let (provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    let before = sent(&gateway.call("alice").await?)?.to_owned();
    provider.forget_access_tokens();
    let after = sent(&gateway.call("alice").await?)?.to_owned();
    assert_ne!(before, after);
    assert_eq!(provider.refreshes(), 1);
    Ok(())
}

#[tokio::test]
async fn a_token_that_ends_soon_is_refreshed_once_for_all_who_call() -> Result<()> {
    let (provider, gateway) = setting().await?;
    provider.behave(|behaviour| behaviour.first_life = Some(1));
    gateway.connect("alice", &["user"]).await?;
    let calls = futures::future::join_all((0..20).map(|_| gateway.call("alice"))).await;
    for call in calls {
        sent(&call?)?;
    }
    assert_eq!(provider.refreshes(), 1);
    Ok(())
}

#[tokio::test]
async fn a_grant_that_is_over_asks_for_consent_again() -> Result<()> {
    let (provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    provider.forget_access_tokens();
    provider.forget_refresh_tokens();
    assert_eq!(code(&gateway.call("alice").await?), "reconnect_required");
    assert_eq!(
        connections(&gateway, "alice").await?[0]["state"],
        "reconnect"
    );
    gateway.connect("alice", &["user"]).await?;
    sent(&gateway.call("alice").await?)?;
    Ok(())
}

#[tokio::test]
async fn a_busy_authorization_server_costs_no_grant() -> Result<()> {
    let (provider, gateway) = setting().await?;
    provider.behave(|behaviour| behaviour.first_life = Some(1));
    gateway.connect("alice", &["user"]).await?;
    provider.behave(|behaviour| behaviour.refresh_status = Some(503));
    let path = format!("/v1/oauth/{SERVER}/refresh");
    let busy = gateway.send("alice", Method::POST, &path).await?;
    assert_eq!(busy.json()?["code"], "authorization_server_failed");
    provider.behave(|behaviour| behaviour.refresh_status = None);
    sent(&gateway.call("alice").await?)?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_leaves_a_refresh_unknown_asks_for_consent_again() -> Result<()> {
    let (provider, gateway) = setting().await?;
    provider.behave(|behaviour| {
        behaviour.first_life = Some(1);
        behaviour.refresh_status = Some(502);
    });
    gateway.connect("alice", &["user"]).await?;
    assert_eq!(code(&gateway.call("alice").await?), "reconnect_required");
    assert_eq!(
        provider.refreshes(),
        1,
        "the refresh token must not be used again"
    );
    Ok(())
}

#[tokio::test]
async fn a_refresh_may_be_asked_for() -> Result<()> {
    let (provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    let path = format!("/v1/oauth/{SERVER}/refresh");
    let refreshed = gateway.send("alice", Method::POST, &path).await?;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    assert_eq!(provider.refreshes(), 1);
    Ok(())
}

/// Nothing is used any more, and the authorization server has revoked both tokens.
async fn expect_ended(provider: &AuthorizationServer, gateway: &Running) -> Result<()> {
    assert_eq!(code(&gateway.call("alice").await?), "not_connected");
    eventually("both tokens are revoked", async || {
        let (accepted, revoked) = (provider.accepted(), provider.tokens_revoked());
        ensure!(
            accepted == (0, 0),
            "{accepted:?} are accepted, revoked were {revoked:?}"
        );
        Ok(())
    })
    .await?;
    eventually("nothing is left of the connection", async || {
        let left = connections(gateway, "alice").await?;
        ensure!(left == json!([]), "{left}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_disconnected_is_revoked_at_the_authorization_server() -> Result<()> {
    let (provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    sent(&gateway.call("alice").await?)?;
    let path = format!("/v1/oauth/{SERVER}");
    let ended = gateway.send("alice", Method::DELETE, &path).await?;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{ended:?}");
    expect_ended(&provider, &gateway).await
}

#[tokio::test]
async fn a_revocation_is_tried_until_the_authorization_server_is_back() -> Result<()> {
    let (provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    provider.behave(|behaviour| behaviour.failing_revocations = 1);
    gateway
        .send("alice", Method::DELETE, &format!("/v1/oauth/{SERVER}"))
        .await?;
    expect_ended(&provider, &gateway).await
}

#[tokio::test]
async fn an_offboarded_user_leaves_nothing_behind() -> Result<()> {
    let (provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    sent(&gateway.call("alice").await?)?;
    let admin = gateway.token("root", &["admin"])?;
    let answer = gateway
        .send_as(&admin, Method::POST, "/v1/users/alice/offboard")
        .await?;
    assert_eq!(answer.json()?["connections"], 1, "{answer:?}");
    expect_ended(&provider, &gateway).await
}

#[tokio::test]
async fn the_organizations_account_is_connected_by_an_administrator_and_used_by_all() -> Result<()>
{
    let (_provider, gateway) = setting_of("Organization").await?;
    let path = format!("/v1/oauth/{SERVER}/authorize");
    let refused = gateway.send("alice", Method::POST, &path).await?;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    gateway.connect("root", &["admin"]).await?;
    let (one, other) = (gateway.call("alice").await?, gateway.call("bob").await?);
    assert_eq!(sent(&one)?, sent(&other)?);
    Ok(())
}

#[tokio::test]
async fn a_token_is_not_sent_to_where_the_server_has_moved() -> Result<()> {
    let (_provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    let elsewhere = AuthorizationServer::start().await?;
    let mut moved = gateway.document.clone();
    moved.servers[0].target = ServerTarget::Remote {
        url: format!("{}/mcp", elsewhere.url),
        transport: RemoteTransport::StreamableHttp,
        ca_bundle: None,
    };
    gateway.installer.install(moved.sealed()?)?;
    assert_eq!(code(&gateway.call("alice").await?), "not_connected");
    assert_eq!(
        elsewhere.seen(),
        [""; 0],
        "the token was sent to the new address"
    );
    Ok(())
}

#[tokio::test]
async fn a_person_sees_and_ends_what_is_connected() -> Result<()> {
    let (provider, gateway) = setting().await?;
    let mut browser = gateway.connect("alice", &["user"]).await?;
    let page = browser
        .open(&format!("{}/v1/oauth/connections", gateway.url))
        .await?;
    let html = page.html();
    assert!(
        html.contains(SERVER) && html.contains("connected"),
        "{html}"
    );
    let form = fields(&html)?;
    let ended = browser
        .send(&format!("{}/v1/oauth/connections", gateway.url), &form)
        .await?;
    assert_eq!(ended.answer.status, StatusCode::OK, "{}", ended.html());
    expect_ended(&provider, &gateway).await
}

#[tokio::test]
async fn the_record_says_who_connected_and_disconnected() -> Result<()> {
    let (_provider, gateway) = setting().await?;
    gateway.connect("alice", &["user"]).await?;
    gateway
        .send("alice", Method::DELETE, &format!("/v1/oauth/{SERVER}"))
        .await?;
    let auditor = gateway.token("root", &["auditor"])?;
    let records = gateway
        .send_as(&auditor, Method::GET, "/v1/audit")
        .await?
        .json()?;
    let records = records["items"]
        .as_array()
        .context("there are no records")?
        .clone();
    for action in ["oauth.connect", "oauth.disconnect"] {
        let outcomes: Vec<_> = records
            .iter()
            .filter(|record| record["action"] == action && record["actor"] == "alice")
            .map(|record| record["outcome"].clone())
            .collect();
        assert_eq!(outcomes, ["success", "intent"], "{action}");
    }
    Ok(())
}

#[tokio::test]
async fn a_browser_that_is_not_logged_in_is_asked_who_it_is() -> Result<()> {
    let (_provider, gateway) = setting().await?;
    let link = gateway
        .connect_link(&gateway.token("alice", &["user"])?)
        .await?;
    let mut browser = Browser::default();
    let form = login_of(&mut browser, &link, "not a token").await;
    let refused = form
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(refused.contains("401"), "{refused}");
    Ok(())
}
