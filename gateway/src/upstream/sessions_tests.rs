use agentapi_crds::tenant_config::{EgressConfig, EgressDestination, ServerTarget};
use futures::future::join_all;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::store::{McpScope, McpSession};
use crate::tenants::test_config::{NoSecrets, server as server_config};
use crate::upstream::test_server::{Seen, TestServer, accepted, answer, json};
use crate::upstream::{Dialer, Environment, Operation};

const INITIALIZED: &str = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}}}"#;

/// A server that gives every `initialize` the same session.
fn upstream(seen: Seen) -> axum::response::Response {
    match seen.rpc_method().as_str() {
        "initialize" => {
            let mut response = json(seen.result(INITIALIZED));
            let headers = response.headers_mut();
            headers.insert("mcp-session-id", "up-1".parse().unwrap());
            response
        }
        "notifications/initialized" => accepted(),
        "forget" => answer(StatusCode::NOT_FOUND, "text/plain", ""),
        _ => json(seen.result("{}")),
    }
}

async fn running() -> TestServer {
    TestServer::start(|seen| async move { upstream(seen) }).await
}

fn compiled(target: ServerTarget) -> Arc<Server> {
    let loopback: ipnet::IpNet = "127.0.0.0/8".parse().unwrap();
    let egress = EgressConfig {
        destination: EgressDestination::Cidr(loopback),
        ports: vec![],
    };
    let environment = Environment {
        dialer: Dialer::new(vec![loopback]),
        egress: Arc::new([egress]),
        secrets: Arc::new(NoSecrets),
        tokens: Arc::new(crate::upstream::NoTokens),
        processes: true,
        bridges: None,
        metrics: crate::telemetry::Metrics::new(),
    };
    let mut config = server_config("notes");
    config.target = target;
    config.timeout_seconds = 5;
    Arc::new(Server::compile(&config, &environment).unwrap())
}

fn remote(server: &TestServer) -> Arc<Server> {
    let ServerTarget::Remote { transport, .. } = server_config("notes").target else {
        panic!("the test's server is remote");
    };
    compiled(ServerTarget::Remote {
        url: server.url(),
        transport,
        ca_bundle: None,
    })
}

/// One client's session in a store of its own.
async fn client() -> (Arc<dyn Store>, Client) {
    let url = SecretString::from("sqlite::memory:".to_owned());
    let store = crate::store::open(&url).await.unwrap();
    let client = Client {
        tenant: TenantId(Uuid::from_u128(1)),
        user: "alice".into(),
        session: Uuid::new_v4(),
        revision: "2025-11-25".into(),
        capabilities: json!({ "roots": {} }),
        client_info: json!({ "name": "test", "version": "1" }),
    };
    let session = McpSession {
        id: client.session,
        user: client.user.clone(),
        workspace: "default".into(),
        scope: McpScope::Federated,
        protocol_version: client.revision.clone(),
        client_capabilities: client.capabilities.clone(),
        client_info: client.client_info.clone(),
        expires_at: Timestamp::now() + SignedDuration::from_hours(1),
        upstreams: Default::default(),
    };
    store
        .create_mcp_session(client.tenant, &session)
        .await
        .unwrap();
    (store, client)
}

async fn sessions() -> Arc<UpstreamSessions> {
    let (store, client) = client().await;
    Arc::new(UpstreamSessions::new(client, store))
}

/// What never cancels a call.
fn never() -> CancellationToken {
    CancellationToken::new()
}

fn call(method: &str) -> Call {
    Call {
        text: format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#),
        id: "1".into(),
        progress_token: None,
    }
}

#[tokio::test]
async fn calls_that_need_a_session_at_once_open_one() {
    let upstream = running().await;
    let (sessions, server) = (sessions().await, remote(&upstream));
    let opened = join_all((0..20).map(|_| sessions.with(&server))).await;
    assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    assert_eq!(upstream.count("initialize"), 1);
}

#[tokio::test]
async fn the_handshake_tells_the_server_what_the_client_can_do() {
    let upstream = running().await;
    sessions().await.with(&remote(&upstream)).await.unwrap();
    let params = upstream.seen()[0].json()["params"].take();
    assert_eq!(params["protocolVersion"], "2025-11-25");
    assert_eq!(params["capabilities"], json!({ "roots": {} }));
    assert_eq!(params["clientInfo"]["name"], "test");
}

#[tokio::test]
async fn later_messages_carry_the_session_and_the_servers_revision() {
    let upstream = running().await;
    let connection = sessions().await.with(&remote(&upstream)).await.unwrap();
    connection
        .call(Operation::Read, call("x"), &never())
        .await
        .unwrap();
    let headers = upstream.seen().pop().unwrap().headers;
    assert_eq!(headers["mcp-session-id"], "up-1");
    assert_eq!(headers["mcp-protocol-version"], "2025-06-18");
}

#[tokio::test]
async fn another_replica_goes_on_with_the_session() {
    let upstream = running().await;
    let (store, client) = client().await;
    let server = remote(&upstream);
    let one = Arc::new(UpstreamSessions::new(client.clone(), store.clone()));
    one.with(&server).await.unwrap();
    let other = Arc::new(UpstreamSessions::new(client, store));
    let connection = other.with(&server).await.unwrap();
    connection
        .call(Operation::Read, call("x"), &never())
        .await
        .unwrap();
    assert_eq!(
        upstream.count("initialize"),
        1,
        "a second session was opened"
    );
    assert_eq!(
        upstream.seen().pop().unwrap().headers["mcp-session-id"],
        "up-1"
    );
}

#[tokio::test]
async fn a_lost_session_fails_one_call_and_is_opened_again_by_the_next() {
    let upstream = running().await;
    let (sessions, server) = (sessions().await, remote(&upstream));
    let connection = sessions.with(&server).await.unwrap();
    let error = connection
        .call(Operation::Read, call("forget"), &never())
        .await
        .expect_err("lost");
    assert!(matches!(error, UpstreamError::SessionLost), "{error:?}");
    sessions.lost(&connection);
    sessions.with(&server).await.unwrap();
    assert_eq!(upstream.count("initialize"), 2);
}

#[tokio::test]
async fn a_session_that_was_never_opened_does_not_exist() {
    let upstream = running().await;
    let found = sessions().await.existing(&remote(&upstream)).await;
    assert!(
        matches!(found, Err(UpstreamError::SessionLost)),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_process_that_this_gateway_did_not_start_is_lost_once() {
    let script = format!(
        r#"read -r l; echo '{{"jsonrpc":"2.0","id":{INITIALIZE_ID},"result":{INITIALIZED}}}'; read -r l; sleep 100"#
    );
    let server = compiled(ServerTarget::Process {
        command: vec!["sh".into(), "-c".into(), script],
        args: vec![],
        env: Default::default(),
    });
    let (store, client) = client().await;
    let before = Arc::new(UpstreamSessions::new(client.clone(), store.clone()));
    before.with(&server).await.unwrap();
    let after = Arc::new(UpstreamSessions::new(client, store));
    let first = after.with(&server).await;
    assert!(
        matches!(first, Err(UpstreamError::SessionLost)),
        "{first:?}"
    );
    let second = after.with(&server).await;
    assert!(second.is_ok(), "{second:?}");
}

#[tokio::test]
async fn a_session_is_not_shown_to_another_target() {
    let (upstream, other) = (running().await, running().await);
    let sessions = sessions().await;
    sessions.with(&remote(&upstream)).await.unwrap();
    let moved = sessions.with(&remote(&other)).await;
    assert!(
        matches!(moved, Err(UpstreamError::SessionLost)),
        "{moved:?}"
    );
    assert_eq!(other.seen().len(), 0, "the other server saw something");
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_cancel_the_handshake_for_others() {
    let (release, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (released, reached) = (release.clone(), gate.clone());
    let upstream = TestServer::start(move |seen| {
        let (released, reached) = (released.clone(), reached.clone());
        async move {
            if seen.rpc_method() == "initialize" {
                reached.notify_one();
                released.notified().await;
            }
            upstream(seen)
        }
    })
    .await;
    let (sessions, server) = (sessions().await, remote(&upstream));
    let mut first = Box::pin(sessions.with(&server));
    tokio::select! {
        opened = &mut first => panic!("opened before the server answered: {opened:?}"),
        () = gate.notified() => {}
    }
    drop(first);
    release.notify_one();
    sessions.with(&server).await.unwrap();
    assert_eq!(upstream.count("initialize"), 1);
}

#[tokio::test]
async fn a_revision_that_is_not_spoken_is_an_error() {
    let upstream = TestServer::start(|seen| async move {
        json(seen.result(r#"{"protocolVersion":"2024-11-05","capabilities":{}}"#))
    })
    .await;
    let error = sessions().await.with(&remote(&upstream)).await;
    assert!(
        matches!(error, Err(UpstreamError::Revision(_))),
        "{error:?}"
    );
}
