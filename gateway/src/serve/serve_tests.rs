//! The whole gateway on SQLite and a free port, over real HTTP.

use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::testing::{Running, request_of, running, running_with};
use super::*;
use crate::tenants::test_config::config;

#[tokio::test]
async fn an_unknown_anothers_and_another_tenants_session_are_answered_alike() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let created = gateway
        .send(Method::POST, "/v1/sessions", Some(&alice), "{}")
        .await;
    assert_eq!(created.status, StatusCode::CREATED, "{:?}", created.body);
    let session = format!("/v1/sessions/{}", created.json()["id"].as_str().unwrap());
    let unknown = gateway
        .get("/v1/sessions/01890000-0000-7000-8000-000000000000", &alice)
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    for (organization, user) in [("acme", "bob"), ("globex", "alice")] {
        let token = gateway.token(organization, user, &[]);
        let found = gateway.get(&session, &token).await;
        assert_eq!(found.status, unknown.status, "{user} of {organization}");
        assert_eq!(
            found.problem(),
            unknown.problem(),
            "{user} of {organization}"
        );
    }
    assert_eq!(
        gateway.get(&session, &alice).await.status,
        StatusCode::OK,
        "its owner still sees it"
    );
}

#[tokio::test]
async fn a_caller_without_an_accepted_token_is_challenged() {
    let gateway = running().await;
    let stranger = running().await.token("acme", "alice", &[]);
    let nowhere = gateway.token("initech", "alice", &[]);
    for token in [
        None,
        Some("x"),
        Some(stranger.as_str()),
        Some(nowhere.as_str()),
    ] {
        let answer = gateway.send(Method::GET, "/v1/sessions", token, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token:?}");
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer"),
            "{token:?}"
        );
        assert_eq!(answer.problem()["retryable"], false);
    }
}

#[tokio::test]
async fn a_suspended_organization_is_refused_at_once_and_the_other_is_not() {
    let gateway = running().await;
    let (acme, globex) = (
        gateway.token("acme", "a", &[]),
        gateway.token("globex", "g", &[]),
    );
    assert_eq!(
        gateway.get("/v1/sessions", &acme).await.status,
        StatusCode::OK
    );
    let suspended = agentapi_crds::tenant_config::TenantConfig {
        suspended: true,
        ..config("acme")
    };
    gateway.installer.install(suspended).unwrap();
    let refused = gateway.get("/v1/sessions", &acme).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.problem()["code"], "organization_suspended");
    assert_eq!(
        gateway.get("/v1/sessions", &globex).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn what_the_framework_refuses_is_a_problem_too() {
    let gateway = running().await;
    let token = gateway.token("acme", "alice", &[]);
    let large = format!(r#"{{"metadata":{{"x":"{}"}}}}"#, "x".repeat(8192));
    for (method, path, body, status) in [
        (
            Method::GET,
            "/v1/nothing-here",
            String::new(),
            StatusCode::NOT_FOUND,
        ),
        (
            Method::PUT,
            "/v1/sessions",
            "{}".into(),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            Method::POST,
            "/v1/sessions",
            "{".into(),
            StatusCode::BAD_REQUEST,
        ),
        (
            Method::POST,
            "/v1/sessions",
            r#"{"workspaze":""}"#.into(),
            StatusCode::BAD_REQUEST,
        ),
        (
            Method::POST,
            "/v1/sessions",
            large,
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
    ] {
        let answer = gateway.send(method.clone(), path, Some(&token), body).await;
        assert_eq!(answer.status, status, "{method} {path}: {:?}", answer.body);
        assert_eq!(
            answer.problem()["status"],
            status.as_u16(),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_in_time() {
    let gateway = running_with(&[("AGENTAPI_REQUEST_TIMEOUT_SECONDS", "1")]).await;
    let token = gateway.token("acme", "alice", &[]);
    let mut stream = TcpStream::connect(gateway.addresses.public).await.unwrap();
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(
        answer.contains(r#""code":"timeout","retryable":true"#),
        "{answer}"
    );
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_on_the_record() {
    let gateway = running_with(&[("AGENTAPI_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let alice = gateway.token("acme", "alice", &[]);
    let request = Request::get(format!("http://{}/v1/audit", gateway.addresses.public))
        .header("authorization", format!("Bearer {alice}"))
        .header("x-forwarded-for", "198.51.100.7, 203.0.113.9");
    request_of(request.body(Full::default()).unwrap()).await;
    let denials = denials(&gateway, "acme").await;
    assert_eq!(denials[0]["address"], "203.0.113.9", "{denials:?}");
}

async fn denials(gateway: &Running, organization: &str) -> Vec<Value> {
    let admin = gateway.token(organization, "ada", &["admin"]);
    let answer = gateway.get("/v1/audit?action=access.denied", &admin).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    answer.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_refusal_for_want_of_a_role_is_on_the_record_of_the_callers_organization() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &["user"]);
    let refused = gateway.get("/v1/audit", &alice).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let id = refused.headers["x-request-id"].to_str().unwrap();
    let denials = denials(&gateway, "acme").await;
    assert_eq!(denials.len(), 1, "{denials:?}");
    assert_eq!(denials[0]["actor"], "alice");
    assert_eq!(
        denials[0]["requestId"], id,
        "the record must lead to the request"
    );
    assert_eq!(denials[0]["address"], "127.0.0.1");
}

#[tokio::test]
async fn a_caller_at_another_organizations_endpoint_is_refused_alike_and_recorded_by_their_own() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &["user"]);
    let mut answers = Vec::new();
    for organization in ["globex", "initech-that-does-not-exist"] {
        let path = format!("/o/{organization}/mcp");
        let answer = gateway.send(Method::POST, &path, Some(&alice), "{}").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{organization}");
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        let metadata = format!("/.well-known/oauth-protected-resource{path}\"");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        assert!(challenge.contains(&metadata), "{challenge}");
        answers.push(answer.problem());
    }
    assert_eq!(
        answers[0], answers[1],
        "the answer tells whether the organization exists"
    );
    assert_eq!(denials(&gateway, "acme").await.len(), 2);
    assert_eq!(
        denials(&gateway, "globex").await,
        Vec::<Value>::new(),
        "another organization learns who came by"
    );
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let gateway = running().await;
    assert_eq!(gateway.admin("/live").await.status, StatusCode::OK);
    assert_eq!(gateway.admin("/ready").await.status, StatusCode::OK);
    gateway.synced.send_replace(false);
    let unready = gateway.admin("/ready").await;
    assert_eq!(unready.status, StatusCode::SERVICE_UNAVAILABLE);
    let checks = unready.json()["checks"].clone();
    let failed: Vec<_> = checks
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .collect();
    assert_eq!(failed.len(), 1, "{checks}");
    assert_eq!(failed[0]["name"], "tenants", "{checks}");
}

/// Name and status of each check of `/health`, and the whole answer's.
async fn health(gateway: &Running) -> (StatusCode, String, Vec<(String, String)>) {
    let answer = gateway.admin("/health").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let report = answer.json();
    let checks = report["checks"].as_array().unwrap().iter();
    let checks = checks
        .map(|check| {
            assert!(check["latencyMilliseconds"].is_number(), "{check}");
            let since: Result<jiff::Timestamp, _> = text(&check["since"]).parse();
            assert!(since.is_ok(), "{check}");
            (text(&check["name"]), text(&check["status"]))
        })
        .collect();
    (answer.status, text(&report["status"]), checks)
}

#[tokio::test]
async fn health_names_what_the_gateway_depends_on() {
    let gateway = running().await;
    let (status, overall, checks) = health(&gateway).await;
    assert_eq!(
        (status, overall.as_str()),
        (StatusCode::OK, "ok"),
        "{checks:?}"
    );
    let names: Vec<_> = checks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "database",
            "cache",
            "tenantConfiguration",
            "keyRing",
            "encryptionKeys",
            "upstreams"
        ]
    );
}

#[tokio::test]
async fn health_is_down_while_organizations_are_missing_and_says_since_when() {
    let gateway = running().await;
    let since = async || {
        let report = gateway.admin("/health").await.json();
        report["checks"][2]["since"].as_str().unwrap().to_owned()
    };
    let (before, again) = (since().await, since().await);
    assert_eq!(before, again, "nothing has changed");
    gateway.synced.send_replace(false);
    let (status, overall, checks) = health(&gateway).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((overall.as_str(), checks[2].1.as_str()), ("down", "down"));
    assert!(since().await > before, "the change has no time of its own");
}

#[tokio::test]
async fn health_is_degraded_without_the_cache_and_requests_go_on() {
    let gateway = running_with(&[("AGENTAPI_REDIS_URL", "redis://127.0.0.1:1")]).await;
    let (status, overall, checks) = health(&gateway).await;
    assert_eq!(
        (status, overall.as_str()),
        (StatusCode::OK, "degraded"),
        "{checks:?}"
    );
    assert_eq!(checks[1], ("cache".to_owned(), "degraded".to_owned()));
    let alice = gateway.token("acme", "alice", &[]);
    assert_eq!(
        gateway.get("/v1/sessions", &alice).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn metrics_name_routes_but_neither_organizations_nor_users() {
    let gateway = running().await;
    let token = gateway.token("acme", "alice-the-user", &[]);
    gateway.get("/v1/sessions", &token).await;
    let metrics = String::from_utf8(gateway.admin("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains(r#"route="/v1/sessions""#), "{metrics}");
    assert!(
        !metrics.contains("acme") && !metrics.contains("alice"),
        "{metrics}"
    );
}

#[tokio::test]
async fn shutdown_ends_the_gateway_and_takes_no_more_connections() {
    let gateway = running().await;
    gateway.shutdown.cancel();
    gateway
        .task
        .await
        .unwrap()
        .expect("the gateway must end without an error");
    let refused = TcpStream::connect(gateway.addresses.public).await;
    assert!(refused.is_err(), "the port must be closed");
}

#[tokio::test]
async fn an_address_in_use_is_refused_by_its_variable() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = listen::bind(address, "AGENTAPI_LISTEN")
        .await
        .expect_err("the port is taken");
    assert!(error.to_string().contains("AGENTAPI_LISTEN"), "{error}");
}
