//! A bridge with a real child, and the gateway's own client in front of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use agentapi_crds::tenant_config::ServerTarget;
use async_trait::async_trait;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::oneshot;
use tokio_util::sync::DropGuard;

use super::*;
use crate::store::TenantId;
use crate::tenants::test_config;
use crate::upstream::test_server::{TestServer, json};
use crate::upstream::{
    BridgeSigner, Call, Dialer, Environment, Principal, Resolve, SESSION_ID, Server,
    bridge_audience, test_bridge_signer,
};

/// Answers every request with how many came before it in this child, and what the
/// child sees of its surroundings.
const COUNTER: &str = r#"n=0; while read -r line; do
    id=${line#*\"id\":}; id=${id%%,*}
    case "$line" in *\"id\"*) ;; *) continue;; esac
    case "$line" in *exit*) exit 3;; esac
    echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":[$n,\"$HOME\",\"$DECLARED\",\"${AGENTAPI_BRIDGE_JWKS-none}${KUBERNETES_SERVICE_HOST-none}\",\"$PWD\",$$]}"
    n=$((n+1))
done"#;

struct Running {
    address: SocketAddr,
    signer: Arc<BridgeSigner>,
    _stop: DropGuard,
}

async fn running() -> Running {
    let signer = Arc::new(test_bridge_signer());
    let audience = bridge_audience("org-acme", "notes");
    let variables = [
        (KEYS, signer.key_set()),
        (AUDIENCE, audience),
        ("DECLARED", "value".to_owned()),
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1".to_owned()),
        ("PATH", std::env::var("PATH").unwrap()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let command = ["sh", "-c", COUNTER].map(str::to_owned).to_vec();
    let listen = "127.0.0.1:0".parse().unwrap();
    let bridge = Bridge::from_environment(listen, command, variables).unwrap();
    let stop = CancellationToken::new();
    let (ready, address) = oneshot::channel();
    let serving = bridge.run(stop.clone(), move |address| ready.send(address).unwrap());
    tokio::spawn(async move { serving.await.unwrap() });
    Running {
        address: address.await.unwrap(),
        signer,
        _stop: stop.drop_guard(),
    }
}

impl Running {
    async fn send(&self, session: Option<&HeaderValue>, text: &str) -> Response<Incoming> {
        let audience = bridge_audience("org-acme", "notes");
        let token = self.signer.token(&audience, 60).unwrap();
        self.send_with(Some(&format!("Bearer {token}")), session, text)
            .await
    }

    async fn send_with(
        &self,
        authorization: Option<&str>,
        session: Option<&HeaderValue>,
        text: &str,
    ) -> Response<Incoming> {
        let mut request = Request::post(format!("http://{}/mcp", self.address));
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(session) = session {
            request = request.header(SESSION_ID, session);
        }
        let body = Full::new(bytes::Bytes::from(text.to_owned()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        client.request(request.body(body).unwrap()).await.unwrap()
    }

    async fn begin(&self) -> HeaderValue {
        let response = self.send(None, &request("initialize")).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.headers()[SESSION_ID].clone()
    }

    async fn call(&self, session: &HeaderValue) -> serde_json::Value {
        let response = self.send(Some(session), &request("tools/call")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["result"].take()
    }
}

fn request(method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#)
}

#[tokio::test]
async fn each_session_has_a_child_and_a_directory_of_its_own() {
    let bridge = running().await;
    let (one, other) = (bridge.begin().await, bridge.begin().await);
    let first = bridge.call(&one).await;
    let second = bridge.call(&one).await;
    let elsewhere = bridge.call(&other).await;
    assert_eq!((first[0].as_i64(), second[0].as_i64()), (Some(1), Some(2)));
    assert_eq!(elsewhere[0], 1, "the sessions share a child");
    assert_ne!(first[1], elsewhere[1], "the sessions share a directory");
}

#[tokio::test]
async fn the_child_sees_what_is_declared_and_nothing_of_the_platform() {
    let bridge = running().await;
    let session = bridge.begin().await;
    let seen = bridge.call(&session).await;
    assert_eq!(
        (&seen[2], &seen[3]),
        (&"value".into(), &"nonenone".into()),
        "the declared variable, then the platform's and the cluster's"
    );
}

#[tokio::test]
async fn the_child_starts_where_the_image_says() {
    let bridge = running().await;
    let session = bridge.begin().await;
    let seen = bridge.call(&session).await;
    let here = std::env::current_dir().unwrap();
    assert_eq!(seen[4].as_str(), here.to_str(), "WORKDIR is not used");
}

#[tokio::test]
async fn nobody_but_the_gateway_is_let_in() {
    let bridge = running().await;
    let ours = bridge_audience("org-acme", "notes");
    let theirs = bridge_audience("org-globex", "notes");
    let signed = |signer: &BridgeSigner, audience: &str, lifetime| {
        format!("Bearer {}", signer.token(audience, lifetime).unwrap())
    };
    let cases = [
        ("no token", None),
        ("an empty one", Some("Bearer ".to_owned())),
        ("no JWT", Some("Bearer x".to_owned())),
        (
            "another server's",
            Some(signed(&bridge.signer, &theirs, 60)),
        ),
        ("an expired one", Some(signed(&bridge.signer, &ours, -60))),
        (
            "another gateway's",
            Some(signed(&test_bridge_signer(), &ours, 60)),
        ),
    ];
    for (what, authorization) in cases {
        let response = bridge
            .send_with(authorization.as_deref(), None, &request("initialize"))
            .await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{what}");
    }
}

#[tokio::test]
async fn a_child_that_ends_is_a_session_that_is_lost() {
    let bridge = running().await;
    let session = bridge.begin().await;
    for method in ["exit", "tools/call"] {
        let response = bridge.send(Some(&session), &request(method)).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{method}");
    }
}

#[tokio::test]
async fn a_message_without_a_session_is_a_bad_request() {
    let bridge = running().await;
    let response = bridge.send(None, &request("tools/call")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_child_that_is_killed_is_a_session_that_is_lost() {
    let bridge = running().await;
    let session = bridge.begin().await;
    let child = bridge.call(&session).await[5].as_i64().unwrap();
    let child = rustix::process::Pid::from_raw(child.try_into().unwrap()).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
    let response = bridge.send(Some(&session), &request("tools/call")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_a_failure_that_may_pass() {
    let bridge = running().await;
    let response = bridge
        .send(None, &request("initialize\",\"x\":\"exit"))
        .await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
}

/// Every name is this machine.
struct Here;

#[async_trait]
impl Resolve for Here {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// The gateway's side, in front of whatever listens on a port of this machine.
fn in_cluster(port: u16, bridge: bool, bridges: Option<Arc<BridgeSigner>>) -> Arc<Server> {
    let mut config = test_config::server("notes");
    config.target = ServerTarget::InCluster {
        namespace: "org-acme".into(),
        service: "notes".into(),
        port,
        path: "/mcp".into(),
        bridge,
    };
    let loopback = vec!["127.0.0.0/8".parse().unwrap()];
    let environment = Environment {
        dialer: Dialer::with_resolver(loopback, Arc::new(Here)),
        egress: Arc::new([]),
        secrets: Arc::new(test_config::NoSecrets),
        tokens: Arc::new(crate::upstream::NoTokens),
        processes: false,
        bridges,
        metrics: crate::telemetry::Metrics::new(),
    };
    Arc::new(Server::compile(&config, &environment).unwrap())
}

/// How the gateway's handshake with a server fails.
async fn refusal(server: &Arc<Server>) -> &'static str {
    let call = Call {
        text: request("initialize"),
        id: "1".into(),
        progress_token: None,
    };
    let principal = Arc::new(Principal {
        tenant: TenantId(uuid::Uuid::nil()),
        user: None,
    });
    let refused = server.connect(&principal, call).await;
    refused.expect_err("no revision").code()
}

#[tokio::test]
async fn the_gateway_reaches_a_server_through_its_bridge() {
    let bridge = running().await;
    let server = in_cluster(bridge.address.port(), true, Some(bridge.signer.clone()));
    // The gateway is let in and the child answers, if not with what MCP wants.
    assert_eq!(refusal(&server).await, "upstream_invalid_message");
}

#[tokio::test]
async fn a_gateway_with_another_key_is_not_let_in() {
    let bridge = running().await;
    let stranger = Arc::new(test_bridge_signer());
    let server = in_cluster(bridge.address.port(), true, Some(stranger));
    assert_eq!(refusal(&server).await, "upstream_unauthorized");
}

#[tokio::test]
async fn a_gateway_without_a_key_says_so_instead_of_knocking() {
    let bridge = running().await;
    let server = in_cluster(bridge.address.port(), true, None);
    assert_eq!(refusal(&server).await, "bridge_token_unavailable");
}

#[tokio::test]
async fn a_server_without_a_bridge_is_given_no_token() {
    let container = TestServer::start(|seen| async move { json(seen.result("{}")) }).await;
    let signer = Some(Arc::new(test_bridge_signer()));
    let server = in_cluster(container.address.port(), false, signer);
    refusal(&server).await;
    let seen = &container.seen()[0].headers;
    assert_eq!(seen.get(header::AUTHORIZATION), None);
}

#[test]
fn a_bridge_without_keys_does_not_start() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let audience = (
        AUDIENCE.to_owned(),
        "agentapi-bridge/org-acme/notes".to_owned(),
    );
    let command = || vec!["true".to_owned()];
    let none = Bridge::from_environment(listen, command(), [audience.clone()]);
    assert!(matches!(none, Err(BridgeError::NotSet(KEYS))), "{none:?}");
    let empty = (KEYS.to_owned(), r#"{"keys":[]}"#.to_owned());
    let empty = Bridge::from_environment(listen, command(), [audience, empty]);
    assert!(matches!(empty, Err(BridgeError::Keys(_))), "{empty:?}");
}
