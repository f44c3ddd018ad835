//! A whole gateway on SQLite and a free port for tests, and requests to it over real HTTP.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Addresses, Embedding, Gateway, ServeError};
use crate::auth::DevelopmentIssuer;
use crate::config::Config;
use crate::store::{self, Store};
use crate::tenants::Installer;
use crate::tenants::test_config::{NoSecrets, config};

pub(crate) struct Running {
    pub(crate) addresses: Addresses,
    pub(crate) key: EncodingKey,
    pub(crate) installer: Installer,
    pub(crate) synced: tokio::sync::watch::Sender<bool>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), ServeError>>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub(crate) fn problem(&self) -> Value {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{:?}",
            self.body
        );
        let mut problem = self.json();
        let id = problem
            .as_object_mut()
            .unwrap()
            .remove("requestId")
            .unwrap();
        assert_eq!(
            id,
            self.headers["x-request-id"].to_str().unwrap(),
            "body and header must agree"
        );
        problem
    }
}

/// A gateway with the organizations acme and globex, which trust the development issuer.
pub(crate) async fn running() -> Running {
    running_with(&[]).await
}

/// The same with further variables.
pub(crate) async fn running_with(further: &[(&str, &str)]) -> Running {
    let store = store::open(&"sqlite::memory:".into()).await.unwrap();
    running_on(store, further).await
}

/// The same on a store that is given.
pub(crate) async fn running_on(store: Arc<dyn Store>, further: &[(&str, &str)]) -> Running {
    let pair = Ed25519KeyPair::generate().unwrap();
    let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    let variables = [
        ("AGENTAPI_LISTEN", "127.0.0.1:0"),
        ("AGENTAPI_ADMIN_LISTEN", "127.0.0.1:0"),
        ("AGENTAPI_REQUEST_BODY_BYTES", "4096"),
    ];
    let variables = variables.iter().chain(further);
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let embedding = Embedding {
        secrets: Arc::new(NoSecrets),
        development: Some(DevelopmentIssuer::new(&public)),
        service_accounts: None,
        processes: false,
    };
    let gateway = Gateway::assemble_on(store, Config::read(variables).unwrap(), embedding)
        .await
        .unwrap();
    let installer = gateway.installer();
    installer.install(config("acme")).unwrap();
    installer.install(config("globex")).unwrap();
    let synced = gateway.synced();
    synced.send_replace(true);
    let shutdown = CancellationToken::new();
    let (ready, addresses) = oneshot::channel();
    let task = tokio::spawn(gateway.run(shutdown.clone(), move |addresses| {
        ready
            .send(addresses)
            .expect("the test waits for the addresses")
    }));
    Running {
        addresses: addresses.await.expect("the gateway must become ready"),
        key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()),
        installer,
        synced,
        shutdown,
        task,
    }
}

impl Running {
    pub(crate) fn token(&self, organization: &str, user: &str, roles: &[&str]) -> String {
        let claims = json!({
            "iss": DevelopmentIssuer::ISSUER, "aud": DevelopmentIssuer::AUDIENCE,
            "sub": user, "org_id": organization, "roles": roles,
            "exp": jiff::Timestamp::now().as_second() + 600,
        });
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(DevelopmentIssuer::KEY_ID.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.addresses.public))
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request_of(request.body(Full::new(body.into())).unwrap()).await
    }

    /// Sends JSON with a further header field.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        token: &str,
        (name, value): (&str, &str),
        body: &Value,
    ) -> Answer {
        let request = Request::post(format!("http://{}{path}", self.addresses.public))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .header(name, value)
            .body(Full::new(body.to_string().into()));
        request_of(request.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(Method::GET, path, Some(token), "").await
    }

    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let uri = format!("http://{}{path}", self.addresses.admin);
        request_of(Request::get(uri).body(Full::default()).unwrap()).await
    }
}

pub(crate) async fn request_of(request: Request<Full<Bytes>>) -> Answer {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}
