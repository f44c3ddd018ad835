use agentapi_crds::tenant_config::{
    CredentialHeader, EgressConfig, EgressDestination, SecretReference,
};
use async_trait::async_trait;
use futures::TryStreamExt;
use secrecy::SecretString;

use super::*;
use crate::upstream::test_server::{TestServer, accepted, answer, events, json, never};
use crate::upstream::{Dialer, EgressPolicy, SecretError, Secrets};

/// What a server answers with.
type Respond = fn() -> Response<axum::body::Body>;

const PATIENCE: Duration = Duration::from_millis(300);
const LIMIT: usize = 4096;

struct OneSecret;

#[async_trait]
impl Secrets for OneSecret {
    async fn read(&self, _: &SecretReference) -> Result<SecretString, SecretError> {
        Ok(SecretString::from("s3cret\n".to_owned()))
    }
}

fn client(url: &str) -> Arc<StreamableHttp> {
    client_with(url, PATIENCE)
}

fn client_with(url: &str, patience: Duration) -> Arc<StreamableHttp> {
    let loopback: ipnet::IpNet = "127.0.0.0/8".parse().unwrap();
    let egress = EgressConfig {
        destination: EgressDestination::Cidr(loopback),
        ports: vec![],
    };
    let credential = CredentialHeader {
        header: "authorization".into(),
        prefix: "Bearer ".into(),
        secret: SecretReference {
            namespace: "org-acme".into(),
            name: "token".into(),
            key: "token".into(),
            resource_version: "1".into(),
        },
    };
    let dialer = Dialer::new(vec![loopback]);
    let policy = EgressPolicy::declared(&[egress]);
    Arc::new(StreamableHttp {
        client: HttpClient::new(&dialer, policy, None).unwrap(),
        endpoint: url.parse().unwrap(),
        credentials: Credentials::new(&[credential], Arc::new(OneSecret)).unwrap(),
        bridge: None,
        message_bytes: LIMIT,
        patience,
    })
}

fn call() -> Call {
    Call {
        text: r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}"#.into(),
        id: "7".into(),
        progress_token: None,
    }
}

fn in_session() -> SessionHeaders {
    SessionHeaders {
        principal: None,
        session_id: Some(HeaderValue::from_static("s-1")),
        protocol_version: Some(HeaderValue::from_static("2025-11-25")),
    }
}

async fn messages(reply: Reply) -> Result<Vec<String>, UpstreamError> {
    match reply {
        Reply::Message(text) => Ok(vec![text]),
        Reply::Stream(messages) => messages.try_collect().await,
    }
}

/// What a call of a server that answers so ends with.
async fn called(respond: Respond) -> Result<Vec<String>, UpstreamError> {
    let server = TestServer::start(move |_| async move { respond() }).await;
    let (reply, _) = client(&server.url()).call(&in_session(), call()).await?;
    messages(reply).await
}

#[tokio::test]
async fn a_json_answer_passes_to_the_byte() {
    const TEXT: &str =
        r#"{ "result":{"x":1.00,"é":"\u00e9"} , "id":7,"jsonrpc":"2.0", "vendor":[ ] }"#;
    let found = called(|| json(TEXT)).await.unwrap();
    assert_eq!(found, [TEXT]);
}

#[tokio::test]
async fn events_pass_one_by_one_up_to_the_answer() {
    const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    let found = called(|| events(&["", PROGRESS, ANSWER])).await.unwrap();
    assert_eq!(found, [PROGRESS, ANSWER]);
}

#[tokio::test]
async fn what_is_not_mcp_is_a_retryable_error() {
    let cases: [(&str, Respond); 8] = [
        ("garbage", || json("garbage")),
        ("an empty body", || json("")),
        ("another request's answer", || {
            json(r#"{"jsonrpc":"2.0","id":8,"result":{}}"#)
        }),
        ("a member twice", || {
            json(r#"{"jsonrpc":"2.0","id":7,"id":7,"result":{}}"#)
        }),
        ("a web page", || {
            answer(StatusCode::OK, "text/html", "<html>")
        }),
        ("only accepted", accepted),
        ("garbage in an event", || events(&["garbage"])),
        ("another request's answer in an event", || {
            events(&[r#"{"jsonrpc":"2.0","id":"7","result":{}}"#])
        }),
    ];
    for (what, respond) in cases {
        let error = called(respond).await.expect_err(what);
        assert!(
            matches!(error, UpstreamError::Invalid(_)),
            "{what}: {error:?}"
        );
        assert!(error.retryable(), "{what}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_an_answer_is_interrupted() {
    let error = called(|| events(&[])).await.expect_err("no answer came");
    assert!(matches!(error, UpstreamError::Interrupted), "{error:?}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time() {
    let server = TestServer::start(|_| never()).await;
    let error = client(&server.url())
        .call(&in_session(), call())
        .await
        .expect_err("nothing answers");
    assert!(
        matches!(error, UpstreamError::Timeout(PATIENCE)),
        "{error:?}"
    );
    assert!(error.retryable());
}

#[tokio::test]
async fn a_stream_that_hangs_is_given_up_in_time() {
    let server = TestServer::start(|_| async {
        let silence = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let body = axum::body::Body::from_stream(silence);
        answer(StatusCode::OK, "text/event-stream", body)
    })
    .await;
    let (reply, _) = client(&server.url())
        .call(&in_session(), call())
        .await
        .unwrap();
    let error = messages(reply).await.expect_err("nothing comes");
    assert!(
        matches!(error, UpstreamError::Timeout(PATIENCE)),
        "{error:?}"
    );
}

#[tokio::test]
async fn messages_over_the_limit_are_refused() {
    fn large() -> String {
        let text = "x".repeat(LIMIT);
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":"{text}"}}"#)
    }
    let cases: [(&str, Respond); 3] = [
        ("JSON", || json(large())),
        ("an event", || events(&[&large()])),
        ("an event that never ends", || {
            let chunk = || Ok::<_, std::io::Error>("x".repeat(LIMIT));
            let chunks = futures::stream::iter([Ok("data: ".to_owned()), chunk(), chunk()]);
            let endless = chunks.chain(futures::stream::pending());
            let body = axum::body::Body::from_stream(endless);
            answer(StatusCode::OK, "text/event-stream", body)
        }),
    ];
    for (what, respond) in cases {
        let error = called(respond).await.expect_err(what);
        assert!(
            matches!(error, UpstreamError::TooLarge(LIMIT)),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn statuses_say_what_is_wrong() {
    let cases: [(u16, &str, bool); 6] = [
        (404, "upstream_session_lost", true),
        (401, "upstream_unauthorized", false),
        (403, "upstream_unauthorized", false),
        (500, "upstream_status", true),
        (429, "upstream_status", true),
        (400, "upstream_status", false),
    ];
    for (status, code, retryable) in cases {
        let status = StatusCode::from_u16(status).unwrap();
        let server =
            TestServer::start(move |_| async move { answer(status, "text/plain", "no") }).await;
        let error = client(&server.url())
            .call(&in_session(), call())
            .await
            .expect_err("a failure status");
        assert_eq!(
            (error.code(), error.retryable()),
            (code, retryable),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TestServer::start(|_| async { json("{}") }).await;
    let location = elsewhere.url();
    let server = TestServer::start(move |_| {
        let location = location.clone();
        async move {
            let mut redirect = answer(StatusCode::TEMPORARY_REDIRECT, "text/plain", "");
            let headers = redirect.headers_mut();
            headers.insert(header::LOCATION, location.parse().unwrap());
            redirect
        }
    })
    .await;
    let error = client(&server.url())
        .call(&in_session(), call())
        .await
        .expect_err("a redirect is no answer");
    assert!(matches!(error, UpstreamError::Status(_)), "{error:?}");
    assert_eq!(elsewhere.seen().len(), 0, "the redirect was followed");
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable() {
    let address = TestServer::start(|_| never()).await.address;
    let error = client(&format!("http://{address}/mcp"))
        .call(&in_session(), call())
        .await
        .expect_err("nobody listens");
    assert!(matches!(error, UpstreamError::Unreachable(_)), "{error:?}");
    assert!(error.retryable());
}

#[tokio::test]
async fn exactly_these_header_fields_are_sent() {
    let server =
        TestServer::start(|_| async { json(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#) }).await;
    let client = client(&server.url());
    drop(client.call(&in_session(), call()).await.unwrap());
    let seen = server.seen().remove(0);
    let mut names: Vec<_> = seen.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "mcp-protocol-version",
            "mcp-session-id",
        ]
    );
    assert_eq!(seen.headers["authorization"], "Bearer s3cret");
}

#[tokio::test]
async fn debug_output_does_not_show_credentials() {
    let server =
        TestServer::start(|_| async { json(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#) }).await;
    let client = client(&server.url());
    drop(client.call(&in_session(), call()).await.unwrap());
    let shown = format!("{client:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
/// Long enough for a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// What a call ends with at a server that closes its stream after an event with
/// the id `e-1`, and answers those who come back so.
async fn taken_up(
    again: impl Fn(usize) -> Response<axum::body::Body> + Send + Sync + 'static,
) -> (Result<Vec<String>, UpstreamError>, TestServer) {
    let comings = std::sync::atomic::AtomicUsize::new(0);
    let server = TestServer::start(move |seen| {
        let answered = if seen.method == Method::GET {
            again(comings.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
        } else {
            let first = format!("id: e-1\nretry: 1\ndata: {PROGRESS}\n\n");
            answer(StatusCode::OK, "text/event-stream", first)
        };
        async move { answered }
    })
    .await;
    let client = client_with(&server.url(), LONG);
    let (reply, _) = client.call(&in_session(), call()).await.unwrap();
    (messages(reply).await, server)
}

#[tokio::test]
async fn a_stream_that_ends_early_is_taken_up_after_its_last_event() {
    let (found, server) = taken_up(|_| events(&[ANSWER])).await;
    assert_eq!(found.unwrap(), [PROGRESS, ANSWER]);
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.headers["last-event-id"], "e-1");
    assert_eq!(seen.headers["accept"], "text/event-stream");
    assert_eq!(seen.headers["mcp-session-id"], "s-1");
    assert_eq!(seen.headers["authorization"], "Bearer s3cret");
}

#[tokio::test]
async fn a_stream_is_polled_until_it_has_the_answer() {
    let (found, server) = taken_up(|coming| match coming {
        0 => answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", ""),
        1 => answer(StatusCode::OK, "text/event-stream", "id: e-2\ndata:\n\n"),
        _ => events(&[ANSWER]),
    })
    .await;
    assert_eq!(found.unwrap(), [PROGRESS, ANSWER]);
    let last =
        |seen: &crate::upstream::test_server::Seen| seen.headers.get("last-event-id").cloned();
    let asked: Vec<_> = server.seen().iter().filter_map(last).collect();
    assert_eq!(asked, ["e-1", "e-1", "e-2"]);
}

#[tokio::test]
async fn a_stream_that_cannot_be_taken_up_is_interrupted() {
    let (found, _) = taken_up(|_| answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "")).await;
    let error = found.expect_err("no answer came");
    assert!(matches!(error, UpstreamError::Interrupted), "{error:?}");
}

#[tokio::test]
async fn a_session_that_is_gone_when_a_stream_is_taken_up_is_lost() {
    let (found, _) = taken_up(|_| answer(StatusCode::NOT_FOUND, "text/plain", "")).await;
    let error = found.expect_err("no answer came");
    assert!(matches!(error, UpstreamError::SessionLost), "{error:?}");
}

#[tokio::test]
async fn progress_without_end_is_given_up() {
    let server = TestServer::start(|_| async {
        let dripping = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, std::io::Error>(format!("data: {PROGRESS}\n\n")), ()))
        });
        let body = axum::body::Body::from_stream(dripping);
        answer(StatusCode::OK, "text/event-stream", body)
    })
    .await;
    let client = client_with(&server.url(), Duration::from_millis(500));
    let (reply, _) = client.call(&in_session(), call()).await.unwrap();
    let error = messages(reply).await.expect_err("it never answers");
    assert!(matches!(error, UpstreamError::Overdue(_)), "{error:?}");
    assert_eq!(error.code(), "upstream_timeout");
}

#[tokio::test]
async fn batches_are_read_where_the_revision_has_them_only() {
    let server = TestServer::start(|seen| async move {
        let batch = format!("[{ANSWER},{PROGRESS}]");
        match seen.headers["mcp-protocol-version"].to_str() {
            Ok("2025-03-26") if seen.headers["mcp-session-id"] == "streams" => {
                events(&[&format!("[{PROGRESS},{ANSWER}]")])
            }
            _ => json(batch),
        }
    })
    .await;
    let client = client_with(&server.url(), LONG);
    let session = |id: &'static str, revision: &'static str| SessionHeaders {
        principal: None,
        session_id: Some(HeaderValue::from_static(id)),
        protocol_version: Some(HeaderValue::from_static(revision)),
    };
    for id in ["answers", "streams"] {
        let session = session(id, "2025-03-26");
        let (reply, _) = client.call(&session, call()).await.unwrap();
        assert_eq!(messages(reply).await.unwrap(), [PROGRESS, ANSWER], "{id}");
    }
    let refused = client.call(&session("answers", "2025-06-18"), call()).await;
    let error = refused.map(drop).expect_err("no batches in this revision");
    assert!(matches!(error, UpstreamError::Invalid(_)), "{error:?}");
}
