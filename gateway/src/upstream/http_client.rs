//! HTTP to addresses that the dialer permits: no redirects, no cookies, no proxies.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::timeout;

use super::dialer::{Connector, DialError, Dialer};
use super::egress::{EgressPolicy, Refusal};

/// Idle connections are closed before common servers close them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The destination is not permitted; no packet was sent.
    #[error(transparent)]
    Refused(Refusal),
    /// The URL cannot be asked.
    #[error("the URL is malformed")]
    Url(#[source] Box<dyn StdError + Send + Sync>),
    /// No connection could be made.
    #[error("no connection")]
    Connect(#[source] Box<dyn StdError + Send + Sync>),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
    /// There was no whole answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer is larger than what is accepted.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer has a status other than success.
    #[error("the answer has status {0}")]
    Status(StatusCode),
}

impl HttpError {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Url(_) | Self::TooLarge(_) => false,
            Self::Connect(_) | Self::Broken(_) | Self::Timeout(_) => true,
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
        }
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The CA bundle is not PEM, or holds a certificate that is none.
    #[error("caBundle is not a list of PEM certificates")]
    Bundle(#[source] Box<dyn StdError + Send + Sync>),
    /// The CA bundle holds no certificate.
    #[error("caBundle holds no certificate")]
    Empty,
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// An HTTP client with one egress policy and a connection pool of its own, so
/// that organizations never share connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client that trusts the system's certificates, or only those of `ca_bundle` (PEM).
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn new(
        dialer: &Dialer,
        policy: EgressPolicy,
        ca_bundle: Option<&str>,
    ) -> Result<Self, TrustError> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(ca_bundle)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(dialer.connector(policy));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Ok(Self { client })
    }

    /// Sends a request and returns the answer as soon as its head is there.
    ///
    /// # Errors
    /// See [`HttpError`]. A status other than success is no error here.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, HttpError> {
        self.client.request(request).await.map_err(classify)
    }

    /// A whole answer, whatever its status, if it arrives within `limit` and its body is no larger than `max_bytes`.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn whole(
        &self,
        request: Request<Full<Bytes>>,
        max_bytes: usize,
        limit: Duration,
    ) -> Result<Response<Bytes>, HttpError> {
        let whole = async {
            let (head, body) = self.send(request).await?.into_parts();
            let body = collect(body, max_bytes).await?;
            Ok(Response::from_parts(head, body))
        };
        let answered = timeout(limit, whole).await;
        answered.map_err(|_| HttpError::Timeout(limit))?
    }

    /// The body of a document, if it arrives whole within `limit` and is no larger than `max_bytes`.
    ///
    /// # Errors
    /// See [`HttpError`]; any status other than 2xx is one.
    pub async fn get(
        &self,
        url: &str,
        max_bytes: usize,
        limit: Duration,
    ) -> Result<Bytes, HttpError> {
        let request = Request::get(url)
            .header(header::ACCEPT, "application/json")
            .body(Full::default())
            .map_err(|error| HttpError::Url(error.into()))?;
        let whole = async {
            let response = self.send(request).await?;
            if !response.status().is_success() {
                return Err(HttpError::Status(response.status()));
            }
            collect(response.into_body(), max_bytes).await
        };
        timeout(limit, whole)
            .await
            .map_err(|_| HttpError::Timeout(limit))?
    }
}

/// A whole body of at most `max_bytes`.
///
/// # Errors
/// [`HttpError::TooLarge`], or [`HttpError::Broken`].
pub(super) async fn collect(body: Incoming, max_bytes: usize) -> Result<Bytes, HttpError> {
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(HttpError::TooLarge(max_bytes)),
        Err(error) => Err(HttpError::Broken(error)),
    }
}

fn classify(error: hyper_util::client::legacy::Error) -> HttpError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(DialError::Refused(refusal)) = current.downcast_ref::<DialError>() {
            return HttpError::Refused(refusal.clone());
        }
        cause = current.source();
    }
    if error.is_connect() {
        HttpError::Connect(error.into())
    } else {
        HttpError::Broken(error.into())
    }
}

/// TLS for clients, which trust the system's certificates, or only those of `ca_bundle` (PEM).
///
/// # Errors
/// See [`TrustError`].
pub(crate) fn client_tls(ca_bundle: Option<&str>) -> Result<rustls::ClientConfig, TrustError> {
    let mut roots = rustls::RootCertStore::empty();
    match ca_bundle {
        Some(bundle) => {
            for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
                let certificate = certificate.map_err(|error| TrustError::Bundle(error.into()))?;
                roots
                    .add(certificate)
                    .map_err(|error| TrustError::Bundle(error.into()))?;
            }
            if roots.is_empty() {
                return Err(TrustError::Empty);
            }
        }
        // A machine's store may hold certificates that rustls refuses; the others still count.
        None => drop(roots.add_parsable_certificates(system_certificates().iter().cloned())),
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// Read once: every client of every organization trusts the same.
fn system_certificates() -> &'static [CertificateDer<'static>] {
    static CERTIFICATES: std::sync::LazyLock<Vec<CertificateDer<'static>>> =
        std::sync::LazyLock::new(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in found.errors {
                tracing::warn!(%error, "a certificate of the system's store cannot be read");
            }
            found.certs
        });
    &CERTIFICATES
}
