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
use crate::tenants::test_config;
use crate::upstream::{
    BridgeSigner, Call, Dialer, Environment, Resolve, SESSION_ID, Server, bridge_audience,
    test_bridge_signer,
};

/// Answers every request with how many came before it in this child, and its directory.
const COUNTER: &str = r#"n=0; while read -r line; do
    id=${line#*\"id\":}; id=${id%%,*}
    case "$line" in *\"id\"*) ;; *) continue;; esac
    case "$line" in *exit*) exit 3;; esac
    echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":[$n,\"$PWD\",\"$DECLARED\",\"${AGENTAPI_BRIDGE_JWKS-none}\"]}"
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
        self.send_with(&format!("Bearer {token}"), session, text)
            .await
    }

    async fn send_with(
        &self,
        authorization: &str,
        session: Option<&HeaderValue>,
        text: &str,
    ) -> Response<Incoming> {
        let mut request = Request::post(format!("http://{}/mcp", self.address))
            .header(header::AUTHORIZATION, authorization);
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
    assert_eq!((&seen[2], &seen[3]), (&"value".into(), &"none".into()));
}

#[tokio::test]
async fn nobody_but_the_gateway_is_let_in() {
    let bridge = running().await;
    let theirs = bridge_audience("org-globex", "notes");
    let foreign = bridge.signer.token(&theirs, 60).unwrap();
    for authorization in ["", "Bearer x", &format!("Bearer {foreign}")] {
        let response = bridge
            .send_with(authorization, None, &request("initialize"))
            .await;
        assert_eq!(
            response.status(),
            StatusCode::UNAUTHORIZED,
            "{authorization:?}"
        );
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

/// Every name is this machine.
struct Here;

#[async_trait]
impl Resolve for Here {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

#[tokio::test]
async fn the_gateway_reaches_a_server_through_its_bridge() {
    let bridge = running().await;
    let mut config = test_config::server("notes");
    config.target = ServerTarget::InCluster {
        namespace: "org-acme".into(),
        service: "notes".into(),
        port: bridge.address.port(),
        path: "/mcp".into(),
    };
    let loopback = vec!["127.0.0.0/8".parse().unwrap()];
    let environment = Environment {
        dialer: Dialer::with_resolver(loopback, Arc::new(Here)),
        egress: Arc::new([]),
        secrets: Arc::new(test_config::NoSecrets),
        processes: false,
        bridges: Some(bridge.signer.clone()),
    };
    let server = Arc::new(Server::compile(&config, &environment).unwrap());
    let call = Call {
        text: request("initialize"),
        id: "1".into(),
        progress_token: None,
    };
    // The child is let in and answers, if not with what MCP wants.
    let refused = server.connect(call.clone()).await.expect_err("no revision");
    assert_eq!(refused.code(), "upstream_invalid_message", "{refused:?}");
    let stranger = Environment {
        bridges: Some(Arc::new(test_bridge_signer())),
        ..environment
    };
    let server = Arc::new(Server::compile(&config, &stranger).unwrap());
    let refused = server.connect(call).await.expect_err("another's key");
    assert_eq!(refused.code(), "upstream_unauthorized", "{refused:?}");
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
