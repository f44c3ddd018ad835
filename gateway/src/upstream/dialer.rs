//! The one place where connections to addresses begin that a tenant, an
//! upstream or a document can influence.
//!
//! It resolves once, checks every address of the answer, and connects to an
//! address it has checked, so that a name which changes its mind in between
//! (DNS rebinding) changes nothing. Proxy variables are not read.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::egress::{EgressPolicy, Refusal};

/// Longest wait for a name to resolve and for one address to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The destination is not permitted; no packet was sent.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The URL names no host, or a scheme other than `http` and `https`.
    #[error("not an http or https URL with a host")]
    Malformed,
    /// The name does not resolve.
    #[error("{host} does not resolve")]
    Resolve {
        /// Name that was looked up.
        host: String,
        /// What the resolver said.
        #[source]
        source: std::io::Error,
    },
    /// No address accepted the connection.
    #[error("{host}:{port} does not accept connections")]
    Connect {
        /// Host that was asked for.
        host: String,
        /// Port that was asked for.
        port: u16,
        /// The last address's answer.
        #[source]
        source: std::io::Error,
    },
}

/// Names to addresses.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a name.
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
pub(super) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0))
            .await?
            .map(|address| address.ip())
            .collect())
    }
}

/// Dials for organizations. Cloning is cheap.
#[derive(Clone)]
pub struct Dialer {
    allowed: Arc<[IpNet]>,
    resolver: Arc<dyn Resolve>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Dialer")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl Dialer {
    /// A dialer for which the platform's configuration opens `allowed` ranges
    /// to declarations (for example loopback, in the embedded mode).
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self::with_resolver(allowed, Arc::new(SystemResolver))
    }

    /// A dialer with a resolver of its own.
    pub fn with_resolver(allowed: Vec<IpNet>, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            allowed: allowed.into(),
            resolver,
        }
    }

    /// A connection to `host:port`, if the policy permits every address of it.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(
        &self,
        policy: &EgressPolicy,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, DialError> {
        let addresses = self.addresses(host).await?;
        for address in &addresses {
            policy.check(host, port, *address, &self.allowed)?;
        }
        let mut failure =
            std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match timeout(
                CONNECT_TIMEOUT,
                TcpStream::connect(SocketAddr::new(address, port)),
            )
            .await
            {
                Ok(Ok(stream)) => {
                    // Small messages must not wait for more (RFC 896).
                    stream
                        .set_nodelay(true)
                        .map_err(|source| connect_error(host, port, source))?;
                    return Ok(stream);
                }
                Ok(Err(source)) => failure = source,
                Err(elapsed) => failure = elapsed.into(),
            }
        }
        Err(connect_error(host, port, failure))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DialError> {
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = literal.parse() {
            return Ok(vec![address]);
        }
        timeout(CONNECT_TIMEOUT, self.resolver.resolve(host))
            .await
            .map_err(std::io::Error::from)
            .flatten()
            .map_err(|source| DialError::Resolve {
                host: host.to_owned(),
                source,
            })
    }

    /// A connector for HTTP clients that dials under one policy.
    pub(super) fn connector(&self, policy: EgressPolicy) -> Connector {
        Connector {
            dialer: self.clone(),
            policy: Arc::new(policy),
        }
    }
}

fn connect_error(host: &str, port: u16, source: std::io::Error) -> DialError {
    DialError::Connect {
        host: host.to_owned(),
        port,
        source,
    }
}

/// The dialer as a service that hyper-util's client connects through.
#[derive(Clone)]
pub(super) struct Connector {
    dialer: Dialer,
    policy: Arc<EgressPolicy>,
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { dialer, policy } = self.clone();
        Box::pin(async move {
            let default_port = match uri.scheme_str() {
                Some("https") => 443,
                Some("http") => 80,
                _ => return Err(DialError::Malformed),
            };
            let host = uri.host().ok_or(DialError::Malformed)?;
            let stream = dialer
                .dial(&policy, host, uri.port_u16().unwrap_or(default_port))
                .await?;
            Ok(TokioIo::new(stream))
        })
    }
}

#[cfg(test)]
#[path = "dialer_tests.rs"]
mod tests;
