//! One event sink of one organization: a webhook that signed events are posted to.

use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::tenant_config::EventSinkConfig;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use uuid::Uuid;

use super::http_client::{HttpClient, HttpError};
use super::secrets::{SecretError, Secrets};
use crate::domain::GlobError;
use crate::domain::audit::{Action, Outcome, Record};
use crate::domain::events::{Headers, SecretFormatError, Selection, SigningSecrets, message};

/// Longest wait for an answer (Standard Webhooks 1.0 recommends 15 to 30 seconds).
const TIMEOUT: Duration = Duration::from_secs(15);
/// What receivers see in their logs.
const AGENT: HeaderValue = HeaderValue::from_static("agentapi-gateway");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why an event was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum EventSinkError {
    /// The signing secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The signing secret is none.
    #[error("Secret {secret}: {source}")]
    SecretFormat {
        /// Namespace and name.
        secret: String,
        /// What is wrong with it.
        source: SecretFormatError,
    },
    /// The event cannot be written.
    #[error("the event cannot be written as JSON")]
    Message(#[from] serde_json::Error),
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The receiver did not take it. Redirects are not followed.
    #[error("the receiver answered {status}")]
    Status {
        /// Its answer.
        status: StatusCode,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
}

impl EventSinkError {
    /// Whether trying again is pointless until somebody has changed something.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Http(error) => matches!(error, HttpError::Refused(_) | HttpError::Url(_)),
            // "Do not send me anything any more" (Standard Webhooks 1.0).
            Self::Status { status, .. } => *status == StatusCode::GONE,
            Self::Secret(_) | Self::SecretFormat { .. } => false,
            Self::Message(_) => true,
        }
    }

    /// How long the receiver asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// One event sink, ready to be sent events.
pub struct EventSink {
    /// The configuration it was compiled from.
    pub config: EventSinkConfig,
    /// Its name, shared with the events that wait for it.
    pub name: Arc<str>,
    selection: Selection,
    http: HttpClient,
    secrets: Arc<dyn Secrets>,
    /// Read once: a Secret that changes is another revision of the document, and
    /// with it another sink.
    signing: OnceCell<SigningSecrets>,
}

impl std::fmt::Debug for EventSink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sink = formatter.debug_struct("EventSink");
        sink.field("config", &self.config).finish_non_exhaustive()
    }
}

impl EventSink {
    /// Compiles a sink whose events go through `http`. Nothing is read or dialled yet.
    ///
    /// # Errors
    /// For the first glob that is none.
    pub fn compile(
        config: &EventSinkConfig,
        http: &HttpClient,
        secrets: &Arc<dyn Secrets>,
    ) -> Result<Self, GlobError> {
        Ok(Self {
            name: config.name.as_str().into(),
            selection: Selection::compile(&config.events)?,
            config: config.clone(),
            http: http.clone(),
            secrets: secrets.clone(),
            signing: OnceCell::new(),
        })
    }

    /// Whether a record of this kind is to be sent.
    pub fn wants(&self, action: Action, outcome: Outcome) -> bool {
        self.selection.includes(action, outcome)
    }

    /// Posts the event about a record. `Ok` means that the receiver has it.
    ///
    /// # Errors
    /// See [`EventSinkError`].
    pub async fn send(&self, id: Uuid, record: &Record) -> Result<(), EventSinkError> {
        let secrets = self.signing.get_or_try_init(|| self.read_secrets()).await?;
        let body = message(record)?;
        let headers = Headers::sign(secrets, id, Timestamp::now(), &body);
        let request = Request::post(&self.config.url)
            .header(CONTENT_TYPE, JSON)
            .header(USER_AGENT, AGENT)
            .header("webhook-id", headers.id)
            .header("webhook-timestamp", headers.timestamp)
            .header("webhook-signature", headers.signature)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| HttpError::Url(error.into()))?;
        let answer = timeout(TIMEOUT, self.http.send(request)).await;
        let answer = answer.map_err(|_| HttpError::Timeout(TIMEOUT))??;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(EventSinkError::Status {
                status,
                retry_after: retry_after(answer.headers()),
            }),
        }
    }

    async fn read_secrets(&self) -> Result<SigningSecrets, EventSinkError> {
        let reference = &self.config.secret;
        let text = self.secrets.read(reference).await?;
        SigningSecrets::parse(&text).map_err(|source| EventSinkError::SecretFormat {
            secret: format!("{}/{}", reference.namespace, reference.name),
            source,
        })
    }
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3); a date is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
