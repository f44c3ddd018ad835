//! One call of one replica.

use std::path::PathBuf;
use std::time::Duration;

use agentapi_crds::internal_api::{
    self, DiscoveredTools, Refusal, ReportPage, Retired, Retirement,
};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use uuid::Uuid;

use super::replicas::Replica;

/// How long a replica may wait for news before it answers without.
const WAIT: Duration = Duration::from_secs(40);
/// How long a replica may take beyond that.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a replica may take to ask a server for its tools.
const TOOLS_PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer.
const MOST_BYTES: usize = 16 << 20;

/// Why a replica did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The token cannot be read.
    #[error("the token for the gateway cannot be read from {path}: {source}")]
    Token {
        /// Where it should be.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The token or the address is unusable.
    #[error("the request cannot be made: {0}")]
    Request(#[from] http::Error),
    /// Nobody answers.
    #[error("it cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("it did not answer within {0:?}")]
    Timeout(Duration),
    /// It refused.
    #[error("{} ({})", .refusal.message, .refusal.code)]
    Refused {
        /// Status of the answer.
        status: StatusCode,
        /// What it said.
        refusal: Refusal,
    },
    /// What it said is not understood.
    #[error(
        "its answer is not understood (status {0}): operator and gateway are of different versions?"
    )]
    NotUnderstood(StatusCode),
}

/// Calls replicas by the operator's own token.
pub(super) struct InternalClient {
    http: Client<HttpConnector, Full<Bytes>>,
    token_file: PathBuf,
}

impl InternalClient {
    pub(super) fn new(token_file: PathBuf) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE / 2));
        connector.set_nodelay(true);
        Self {
            http: Client::builder(TokioExecutor::new()).build(connector),
            token_file,
        }
    }

    /// The news of a replica since a page of it; waits for them.
    pub(super) async fn news(
        &self,
        replica: &Replica,
        known: Option<(Uuid, u64)>,
    ) -> Result<ReportPage, CallError> {
        let query = match known {
            Some((instance, after)) => {
                format!(
                    "?instance={instance}&after={after}&waitSeconds={}",
                    WAIT.as_secs()
                )
            }
            None => String::new(),
        };
        let path = format!("{}{query}", internal_api::REPORTS);
        self.call(replica, Method::GET, &path, None::<&()>, WAIT + PATIENCE)
            .await
    }

    /// Asks a replica to let an organization go.
    pub(super) async fn retire(
        &self,
        replica: &Replica,
        organization: &str,
        tenant_id: Uuid,
    ) -> Result<Retired, CallError> {
        let path = internal_api::retirement(organization);
        let retirement = Retirement { tenant_id };
        self.call(replica, Method::PUT, &path, Some(&retirement), PATIENCE)
            .await
    }

    /// Has a replica ask a server for its tools.
    pub(super) async fn tools(
        &self,
        replica: &Replica,
        organization: &str,
        server: &str,
    ) -> Result<DiscoveredTools, CallError> {
        let path = internal_api::tools(organization, server);
        self.call(replica, Method::GET, &path, None::<&()>, TOOLS_PATIENCE)
            .await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        replica: &Replica,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        patience: Duration,
    ) -> Result<T, CallError> {
        let body = body
            .and_then(|body| serde_json::to_vec(body).ok())
            .unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", replica.address))
            .header(AUTHORIZATION, self.authorization().await?)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))?;
        timeout(patience, self.send(request))
            .await
            .unwrap_or(Err(CallError::Timeout(patience)))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<T, CallError> {
        let answer = self.http.request(request).await;
        let answer = answer.map_err(|error| CallError::Unreachable(error.into()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(CallError::Unreachable)?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| CallError::NotUnderstood(status));
        }
        match serde_json::from_slice(&body) {
            Ok(refusal) => Err(CallError::Refused { status, refusal }),
            Err(_) => Err(CallError::NotUnderstood(status)),
        }
    }

    /// Read for every call: kubelet replaces a projected token before it expires.
    async fn authorization(&self) -> Result<HeaderValue, CallError> {
        let token = tokio::fs::read_to_string(&self.token_file).await;
        let token = token.map_err(|source| CallError::Token {
            path: self.token_file.display().to_string(),
            source,
        })?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(http::Error::from)?;
        value.set_sensitive(true);
        Ok(value)
    }
}
