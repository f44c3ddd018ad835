//! A whole gateway, a client of it, and MCP servers whose answers a test decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::{
    EgressConfig, EgressDestination, PromptConfig, ServerConfig, ServerTarget, TenantConfig,
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::auth::DevelopmentIssuer;
use crate::config::Config;
use crate::serve::{Embedding, Gateway};
use crate::tenants::test_config::{self, NoSecrets};
use crate::upstream::test_server::{self, Seen, TestServer, accepted, answer};

/// A running gateway with the organizations acme, which has servers, and globex, which has none.
pub(super) struct TestGateway {
    pub(super) base: String,
    admin: String,
    key: EncodingKey,
    http: HttpClient<HttpConnector, Full<Bytes>>,
    _stop: DropGuard,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The last message: the body, or the data of the last event.
    pub(super) fn message(&self) -> Value {
        let data = self
            .text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("data: "));
        serde_json::from_str(data.unwrap_or(&self.text))
            .unwrap_or_else(|_| panic!("no message: {self:?}"))
    }

    pub(super) fn result(&self) -> Value {
        let mut message = self.message();
        assert!(message["result"] != Value::Null, "no result: {self:?}");
        message["result"].take()
    }

    pub(super) fn error(&self) -> Value {
        let mut message = self.message();
        assert!(message["error"] != Value::Null, "no error: {self:?}");
        message["error"].take()
    }

    /// Everything a client can tell refusals apart by.
    pub(super) fn without_request_id(&self) -> (StatusCode, Value) {
        let mut body = self.json();
        body.as_object_mut().unwrap().remove("requestId");
        (self.status, body)
    }
}

impl TestGateway {
    pub(super) async fn start(servers: Vec<ServerConfig>) -> Self {
        Self::with_prompts(servers, vec![]).await
    }

    pub(super) async fn with_prompts(
        servers: Vec<ServerConfig>,
        prompts: Vec<PromptConfig>,
    ) -> Self {
        Self::with(|config| {
            config.servers = servers;
            config.prompts = prompts;
        })
        .await
    }

    /// A gateway whose organization acme is as a test wants it.
    pub(super) async fn with(change: impl FnOnce(&mut TenantConfig)) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let variables = [
            ("AGENTAPI_LISTEN", "127.0.0.1:0"),
            ("AGENTAPI_ADMIN_LISTEN", "127.0.0.1:0"),
            ("AGENTAPI_DATABASE_URL", "sqlite::memory:"),
            ("AGENTAPI_OUTBOUND_ALLOW", "127.0.0.0/8"),
            ("AGENTAPI_REQUEST_BODY_BYTES", "4096"),
            (
                "AGENTAPI_ENCRYPTION_KEYS",
                "first:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            ),
            ("AGENTAPI_ALLOWED_ORIGINS", "https://inspector.example.com"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let embedding = Embedding {
            secrets: Arc::new(NoSecrets),
            development: Some(DevelopmentIssuer::new(&public)),
            service_accounts: None,
            processes: true,
        };
        let config = Config::read(variables).unwrap();
        let gateway = Gateway::assemble(config, embedding).await.unwrap();
        let loopback = EgressConfig {
            destination: EgressDestination::Cidr("127.0.0.0/8".parse().unwrap()),
            ports: vec![],
        };
        let mut acme = test_config::config("acme");
        acme.egress = vec![loopback];
        change(&mut acme);
        let installer = gateway.installer();
        installer.install(acme).unwrap();
        installer.install(test_config::config("globex")).unwrap();
        let stop = CancellationToken::new();
        let (ready, addresses) = oneshot::channel();
        let running = gateway.run(stop.clone(), move |addresses| {
            ready
                .send(addresses)
                .expect("the test waits for the addresses");
        });
        tokio::spawn(async move { running.await.expect("the gateway must not fail") });
        let addresses = addresses.await.expect("the gateway must become ready");
        Self {
            base: format!("http://{}", addresses.public),
            admin: format!("http://{}", addresses.admin),
            key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()),
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
            _stop: stop.drop_guard(),
        }
    }

    fn token(&self, organization: &str, user: &str) -> String {
        let claims = json!({
            "iss": DevelopmentIssuer::ISSUER, "aud": DevelopmentIssuer::AUDIENCE,
            "sub": user, "org_id": organization, "roles": ["admin"],
            "exp": jiff::Timestamp::now().as_second() + 600,
        });
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(DevelopmentIssuer::KEY_ID.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }

    /// A request of `alice` of acme with exactly these further header fields.
    pub(super) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let who = ("acme", "alice");
        whole(self.begin(who, method, path, headers, body.into()).await).await
    }

    async fn begin(
        &self,
        (organization, user): (&str, &str),
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> http::Response<Incoming> {
        let bearer = format!("Bearer {}", self.token(organization, user));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", bearer)
            .header("cookie", "session=alices");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        self.http.request(request).await.unwrap()
    }

    /// What the gateway has counted, as OpenMetrics text.
    pub(super) async fn metrics(&self) -> String {
        let request = Request::get(format!("{}/metrics", self.admin));
        let request = request.body(Full::default()).unwrap();
        whole(self.http.request(request).await.unwrap()).await.text
    }

    /// A client of an endpoint that has not initialized yet.
    pub(super) fn client<'a>(&'a self, path: &'a str) -> TestClient<'a> {
        TestClient {
            gateway: self,
            who: ("acme", "alice"),
            path,
            session: None,
            revision: "2025-11-25",
        }
    }

    /// A client of an endpoint with a session.
    pub(super) async fn connected<'a>(&'a self, path: &'a str) -> TestClient<'a> {
        self.connected_as(path, "2025-11-25").await
    }

    /// A client of an endpoint with a session of a revision.
    pub(super) async fn connected_as<'a>(
        &'a self,
        path: &'a str,
        revision: &'static str,
    ) -> TestClient<'a> {
        let mut client = self.client(path);
        client.revision = revision;
        let answer = client.initialize().await;
        let session = answer.headers.get("mcp-session-id");
        let session = session.unwrap_or_else(|| panic!("no session: {answer:?}"));
        client.session = Some(session.to_str().unwrap().to_owned());
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let answer = client.send(initialized).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        client
    }

    /// The records of an action, oldest first, as (resource, outcome, reason).
    pub(super) async fn records(&self, action: &str) -> Vec<(String, String, Value)> {
        let path = format!("/v1/audit?action={action}");
        let page = self.raw(Method::GET, &path, &[], "").await.json();
        let items = page["items"].as_array().unwrap().iter().rev();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        items
            .map(|item| {
                (
                    text(&item["resource"]),
                    text(&item["outcome"]),
                    item["reason"].clone(),
                )
            })
            .collect()
    }
}

/// Somebody who speaks MCP to one endpoint.
pub(super) struct TestClient<'a> {
    gateway: &'a TestGateway,
    pub(super) who: (&'a str, &'a str),
    pub(super) path: &'a str,
    pub(super) session: Option<String>,
    revision: &'static str,
}

impl TestClient<'_> {
    pub(super) async fn initialize(&self) -> Answer {
        let params = json!({
            "protocolVersion": self.revision,
            "capabilities": { "roots": {}, "tasks": {} },
            "clientInfo": { "name": "test", "version": "1" },
        });
        self.ask("initialize", params).await
    }

    pub(super) async fn ask(&self, method: &str, params: Value) -> Answer {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.send(request.to_string()).await
    }

    /// One message, and the whole answer to it.
    pub(super) async fn send(&self, text: impl Into<Bytes>) -> Answer {
        whole(self.post(text).await).await
    }

    /// One message, and the answer as it comes.
    pub(super) async fn post(&self, text: impl Into<Bytes>) -> http::Response<Incoming> {
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        headers.extend(self.session.as_deref().map(|id| ("mcp-session-id", id)));
        let gateway = self.gateway;
        gateway
            .begin(self.who, Method::POST, self.path, &headers, text.into())
            .await
    }

    pub(super) async fn end(&self) -> Answer {
        let session = self.session.as_deref().unwrap_or_default();
        let headers = [("mcp-session-id", session)];
        self.gateway
            .raw(Method::DELETE, self.path, &headers, "")
            .await
    }
}

/// Waits for a condition, and fails with `what` if it does not come true.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn whole(response: http::Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A server of acme at a URL, with a timeout of one second.
pub(super) fn server(name: &str, url: &str) -> ServerConfig {
    let mut config = test_config::server(name);
    if let ServerTarget::Remote { url: target, .. } = &mut config.target {
        *target = url.to_owned();
    }
    config.timeout_seconds = 1;
    config
}

/// An MCP server with the tools `echo` and `fail`, a resource and a prompt; `other`
/// answers what a test wants to decide itself.
pub(super) async fn mcp_server(
    other: impl Fn(&Seen) -> Option<Response> + Send + Sync + 'static,
) -> TestServer {
    TestServer::start(move |seen| {
        let answer = other(&seen).unwrap_or_else(|| usual(&seen));
        async move { answer }
    })
    .await
}

/// What `initialize` is answered with, to the byte.
pub(super) const INITIALIZED: &str = r#"{ "protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{},"prompts":{},"x-vendor":{} },"serverInfo":{"name":"fixture","version":"1"}}"#;
/// What `echo` is answered with, to the byte.
pub(super) const ECHOED: &str = r#"{ "content":[{"type":"text","text":"hi"}] ,"x-vendor":1.00}"#;

fn usual(seen: &Seen) -> Response {
    let tool = seen.json()["params"]["name"].clone();
    let result = match (seen.rpc_method().as_str(), tool.as_str()) {
        ("initialize", _) => {
            let mut response = test_server::json(seen.result(INITIALIZED));
            let headers = response.headers_mut();
            headers.insert("mcp-session-id", "up-1".parse().unwrap());
            return response;
        }
        ("tools/list", _) => r#"{"tools":[{"name":"echo", "x":1.0},{"name":"fail"}]}"#,
        ("tools/call", Some("echo")) => ECHOED,
        ("tools/call", _) => r#"{"content":[],"isError":true}"#,
        ("resources/list", _) => r#"{"resources":[{"uri":"note://1","name":"one"}]}"#,
        ("resources/read", _) => r#"{"contents":[{"uri":"note://1","text":"x"}]}"#,
        ("resources/templates/list", _) => r#"{"resourceTemplates":[]}"#,
        ("prompts/list", _) => r#"{"prompts":[{"name":"greet"}]}"#,
        ("prompts/get", _) => r#"{"messages":[]}"#,
        ("ping" | "custom/method", _) => "{}",
        _ => return accepted(),
    };
    test_server::json(seen.result(result))
}

/// Progress of a call, to the byte.
pub(super) const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}"#;

/// A call of a tool with the id 7.
pub(super) fn call(name: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"arguments":{{"x":1.0}},"name":"{name}"}}}}"#
    )
}

/// A server that sends progress at once, and its answer when it is told to.
pub(super) async fn held(release: Arc<Notify>) -> TestServer {
    mcp_server(move |seen| {
        let (release, answered) = (release.clone(), seen.result(ECHOED));
        (seen.rpc_method() == "tools/call").then(|| {
            let first = futures::stream::iter([format!("data: {PROGRESS}\n\n")]);
            let last = futures::stream::once(async move {
                release.notified().await;
                format!("data: {answered}\n\n")
            });
            let body = first.chain(last).map(Ok::<_, std::io::Error>);
            answer(StatusCode::OK, "text/event-stream", Body::from_stream(body))
        })
    })
    .await
}
