//! What HTTP and JSON-RPC demand of every message.

use http::{Method, StatusCode};
use serde_json::json;

use super::testing::{TestGateway, mcp_server, server};

type Headers = &'static [(&'static str, &'static str)];

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");
const BOTH: (&str, &str) = ("accept", "application/json, text/event-stream");

#[tokio::test]
async fn headers_that_do_not_fit_are_refused() {
    let gateway = TestGateway::start(vec![]).await;
    let cases: [(&str, Headers, StatusCode); 5] = [
        (
            "no content type",
            &[BOTH],
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "another content type",
            &[BOTH, ("content-type", "text/plain")],
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        ("no Accept", &[JSON], StatusCode::NOT_ACCEPTABLE),
        (
            "an Accept without event streams",
            &[JSON, ("accept", "application/json")],
            StatusCode::NOT_ACCEPTABLE,
        ),
        (
            "a revision that nobody knows",
            &[JSON, BOTH, ("mcp-protocol-version", "1999-01-01")],
            StatusCode::BAD_REQUEST,
        ),
    ];
    for (what, headers, status) in cases {
        let answer = gateway.raw(Method::POST, "/mcp", headers, PING).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_eq!(
            answer.headers["content-type"], "application/problem+json",
            "{what}"
        );
    }
}

#[tokio::test]
async fn the_stateless_revision_is_refused_by_name() {
    let gateway = TestGateway::start(vec![]).await;
    let headers = [JSON, BOTH, ("mcp-protocol-version", "2026-07-28")];
    let answer = gateway.raw(Method::POST, "/mcp", &headers, PING).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = answer.error();
    assert_eq!(error["code"], -32022);
    assert_eq!(
        error["data"]["supported"],
        json!(["2025-03-26", "2025-06-18", "2025-11-25"])
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let gateway = TestGateway::start(vec![]).await;
    let answer = gateway.client("/mcp").send("x".repeat(5000)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{answer:?}");
}

#[tokio::test]
async fn no_event_stream_is_offered_and_the_answer_says_what_is() {
    let gateway = TestGateway::start(vec![]).await;
    let answer = gateway.raw(Method::GET, "/mcp", &[BOTH], "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "POST, DELETE");
}

#[tokio::test]
async fn malformed_messages_get_the_specified_error() {
    let gateway = TestGateway::start(vec![]).await;
    let client = gateway.connected("/mcp").await;
    for (body, code) in [
        ("{\"jsonrpc\":", -32700),
        ("[]", -32600),
        (r#"{"id":1}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}"#,
            -32600,
        ),
    ] {
        let answer = client.send(body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.error()["code"], code, "{body}");
    }
}

#[tokio::test]
async fn a_message_without_a_session_is_a_bad_request() {
    let gateway = TestGateway::start(vec![]).await;
    let answer = gateway.client("/mcp").send(PING).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
}

#[tokio::test]
async fn somebody_elses_session_is_like_one_that_does_not_exist() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let session = gateway.connected("/mcp").await.session;
    let mut stranger = gateway.client("/mcp");
    stranger.session = Some("00000000-0000-4000-8000-000000000000".to_owned());
    let unknown = stranger.send(PING).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    stranger.session = session.clone();
    for who in [("acme", "bob"), ("globex", "alice")] {
        stranger.who = who;
        let found = stranger.send(PING).await;
        let (found, unknown) = (found.without_request_id(), unknown.without_request_id());
        assert_eq!(found, unknown, "{who:?}");
    }
    let mut elsewhere = gateway.client("/mcp/notes");
    elsewhere.session = session.clone();
    let found = elsewhere.send(PING).await;
    assert_eq!(found.without_request_id(), unknown.without_request_id());
    let mut owner = gateway.client("/mcp");
    owner.session = session;
    assert_eq!(owner.send(PING).await.result(), json!({}));
}

#[tokio::test]
async fn an_ended_session_is_gone_and_its_upstream_sessions_too() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    client.ask("tools/list", json!({})).await.result();
    assert_eq!(client.end().await.status, StatusCode::NO_CONTENT);
    assert_eq!(client.send(PING).await.status, StatusCode::NOT_FOUND);
    let ended = || {
        upstream
            .seen()
            .iter()
            .any(|seen| seen.method == Method::DELETE)
    };
    for _ in 0..1000 {
        if ended() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(ended(), "the upstream session was not ended");
    assert_eq!(
        gateway.records("mcp.disconnect").await,
        [
            ("mcp".into(), "intent".into(), json!(null)),
            ("mcp".into(), "success".into(), json!(null)),
        ]
    );
}

#[tokio::test]
async fn a_session_is_ended_in_a_revision_that_is_spoken_only() {
    let gateway = TestGateway::start(vec![]).await;
    let client = gateway.connected("/mcp").await;
    let session = client.session.as_deref().unwrap();
    let ended = async |revision| {
        let headers = [
            ("mcp-session-id", session),
            ("mcp-protocol-version", revision),
        ];
        gateway
            .raw(Method::DELETE, "/mcp", &headers, "")
            .await
            .status
    };
    assert_eq!(ended("1999-01-01").await, StatusCode::BAD_REQUEST);
    assert_eq!(ended("2025-11-25").await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_session_that_was_never_begun_cannot_be_ended() {
    let gateway = TestGateway::start(vec![]).await;
    let mut client = gateway.client("/mcp");
    client.session = Some("00000000-0000-4000-8000-000000000000".to_owned());
    assert_eq!(client.end().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nothing_of_the_callers_request_reaches_a_server() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    for path in ["/mcp", "/mcp/notes"] {
        let client = gateway.connected(path).await;
        client.ask("tools/list", json!({})).await.result();
    }
    for seen in upstream.seen() {
        for name in ["authorization", "cookie", "x-request-id"] {
            assert!(!seen.headers.contains_key(name), "{name} in {seen:?}");
        }
    }
}

#[tokio::test]
async fn a_foreign_web_page_is_refused_before_its_token_is_looked_at() {
    let gateway = TestGateway::start(vec![]).await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
        let headers = [
            JSON,
            BOTH,
            ("origin", origin),
            ("authorization", "Bearer x"),
        ];
        for method in [Method::POST, Method::GET, Method::DELETE, Method::OPTIONS] {
            let answer = gateway.raw(method, "/mcp", &headers, PING).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}: {answer:?}");
            assert_eq!(answer.json()["code"], "origin_not_allowed", "{origin}");
        }
    }
}

#[tokio::test]
async fn a_web_page_that_is_allowed_may_ask_and_read_the_answer() {
    let gateway = TestGateway::start(vec![]).await;
    let own = gateway.base.clone();
    for origin in [own.as_str(), "https://inspector.example.com"] {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
        ];
        let preflight = gateway.raw(Method::OPTIONS, "/mcp", &asked, "").await;
        assert_eq!(preflight.status, StatusCode::NO_CONTENT, "{origin}");
        let headers = preflight.headers;
        assert_eq!(headers["access-control-allow-origin"], origin);
        let allowed = headers["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("mcp-session-id"), "{allowed}");
        let answer = gateway
            .raw(
                Method::POST,
                "/mcp",
                &[JSON, BOTH, ("origin", origin)],
                PING,
            )
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
    }
}
