//! One MCP server of one organization, compiled from its configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::{
    CredentialScope, EgressConfig, ProcessValue, RemoteTransport, ServerConfig, ServerTarget,
};
use arc_swap::ArcSwapOption;
use futures::future::BoxFuture;
use http::Uri;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::OnceCell;
use tower::ServiceExt;
use url::Url;

use super::bridge_token::{BridgeSigner, audience};
use super::connection::Connection;
use super::credentials::Credentials;
use super::dialer::Dialer;
use super::egress::EgressPolicy;
use super::error::UpstreamError;
use super::http_client::{HttpClient, TrustError};
use super::process::{Launch, Process};
use super::reply::Call;
use super::resilience::{Attempt, Operation, Outcome, Stack, stack};
use super::secrets::Secrets;
use super::streamable_http::{BridgeAccess, SessionHeaders, StreamableHttp};
use super::tokens::{Principal, UpstreamTokens};
use crate::domain::GlobError;
use crate::domain::mcp::ToolFilter;
use crate::telemetry::Metrics;

/// What servers are compiled with.
#[derive(Clone)]
pub struct Environment {
    /// The platform's dialer.
    pub dialer: Dialer,
    /// What the organization declared.
    pub egress: Arc<[EgressConfig]>,
    /// Where credentials are read.
    pub secrets: Arc<dyn Secrets>,
    /// Where tokens of authorization servers are had.
    pub tokens: Arc<dyn UpstreamTokens>,
    /// Whether servers may be child processes: in the embedded mode only.
    pub processes: bool,
    /// Signs the tokens for the bridges of stdio servers, where there are any.
    pub bridges: Option<Arc<BridgeSigner>>,
    /// Where operations on servers are counted.
    pub metrics: Metrics,
}

/// Why a server cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The URL is none that may be called.
    #[error("remote.url: {0}")]
    Url(&'static str),
    /// The certificates cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A glob cannot be read.
    #[error("tools: {0}")]
    Filter(#[from] GlobError),
    /// A header field has an impossible name.
    #[error("auth: {0:?} is not the name of a header field")]
    HeaderName(String),
    /// Something that this build does not do.
    #[error("{0} is not supported yet")]
    NotSupported(&'static str),
    /// A child process outside of the embedded mode.
    #[error("child processes are only run by `agentapi dev`")]
    Process,
}

/// One MCP server of one organization, ready to be spoken to.
#[derive(Debug)]
pub struct Server {
    /// The configuration it was compiled from.
    pub config: ServerConfig,
    /// What sessions with it are remembered by.
    session_key: String,
    egress: Arc<[EgressConfig]>,
    filter: ToolFilter,
    transport: Transport,
    capabilities: ArcSwapOption<Value>,
    probed: OnceCell<()>,
    stack: Stack,
    metrics: Metrics,
}

#[derive(Debug)]
pub(super) enum Transport {
    Http(Arc<StreamableHttp>),
    Process(Program),
}

/// A program, with what its environment is made of.
pub(super) struct Program {
    command: Vec<String>,
    args: Vec<String>,
    env: BTreeMap<String, ProcessValue>,
    secrets: Arc<dyn Secrets>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut program = formatter.debug_struct("Program");
        program.field("command", &self.command);
        program.field("args", &self.args).finish_non_exhaustive()
    }
}

impl Server {
    /// Compiles a server. Nothing is dialled, read or started yet.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(config: &ServerConfig, environment: &Environment) -> Result<Self, CompileError> {
        if config.credential_scope == CredentialScope::User && config.oauth.is_none() {
            return Err(CompileError::NotSupported(
                "credentialScope: User without auth.oauth",
            ));
        }
        let metrics = environment.metrics.clone();
        Ok(Self {
            stack: stack(patience(config), config.retries, config.breaker, &metrics),
            config: config.clone(),
            session_key: config.name.clone(),
            egress: environment.egress.clone(),
            filter: ToolFilter::compile(&config.tools)?,
            transport: transport(config, environment)?,
            capabilities: ArcSwapOption::empty(),
            probed: OnceCell::new(),
            metrics,
        })
    }

    /// The same server, whose sessions are remembered by something else than its
    /// name: where the name may come to mean another server.
    pub fn with_session_key(self, session_key: String) -> Self {
        Self {
            session_key,
            ..self
        }
    }

    /// What sessions with it are remembered by.
    pub fn session_key(&self) -> &str {
        &self.session_key
    }

    /// Whether compiling again would make the same server, so that this one may be kept.
    pub fn is_current(&self, config: &ServerConfig, environment: &Environment) -> bool {
        self.config == *config && self.egress == environment.egress
    }

    /// Name of the `McpServer`.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What stands before `__` in federated names.
    pub fn prefix(&self) -> &str {
        self.config.tools.prefix.as_deref().unwrap_or(self.name())
    }

    /// Whether a tool is offered, by its own name.
    pub fn offers(&self, tool: &str) -> bool {
        self.filter.offers(tool)
    }

    /// Whether any tool may be withheld.
    pub fn withholds(&self) -> bool {
        !self.config.tools.allow.is_empty() || !self.config.tools.deny.is_empty()
    }

    /// Longest silence before a call is given up. Progress breaks it, up to ten times as long in all.
    pub fn patience(&self) -> Duration {
        patience(&self.config)
    }

    /// The server's `capabilities` as it last declared them; nothing before the first handshake.
    pub fn capabilities(&self) -> Option<Arc<Value>> {
        self.capabilities.load_full()
    }

    /// Asks once what the server can do, unless that is known: who comes while it is
    /// asked waits for the same answer, who comes later goes on without.
    pub async fn probe(&self, ask: impl Future<Output = ()>) {
        if self.capabilities().is_none() {
            self.probed.get_or_init(|| ask).await;
        }
    }

    /// Does something at the server: with retries where it is idempotent, unless
    /// the server is left alone, and in time.
    ///
    /// # Errors
    /// Those of the work, [`UpstreamError::LeftAlone`] and [`UpstreamError::Timeout`].
    pub(super) async fn perform<T: Outcome>(
        &self,
        operation: Operation,
        work: impl Fn() -> BoxFuture<'static, Result<T, UpstreamError>> + Send + Sync + 'static,
    ) -> Result<T, UpstreamError> {
        let attempt = Attempt::new(operation, self.patience(), work);
        self.stack.clone().oneshot(attempt).await
    }

    /// The kinds of operations for which the server is left alone after failures.
    pub fn left_alone(&self) -> impl Iterator<Item = Operation> {
        self.stack.left_alone()
    }

    /// Counts an operation on the server that has ended.
    pub(super) fn measure<T>(
        &self,
        operation: Operation,
        outcome: &Result<T, UpstreamError>,
        started: Instant,
    ) {
        let outcome = outcome
            .as_ref()
            .err()
            .map_or("success", UpstreamError::code);
        self.metrics
            .upstream(operation.name(), outcome, started.elapsed());
    }

    pub(super) fn learn(&self, capabilities: Value) {
        self.capabilities.store(Some(Arc::new(capabilities)));
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Whether each user's own account is used, so that what it shows is that user's.
    pub fn is_personal(&self) -> bool {
        self.config.oauth.is_some() && self.config.credential_scope == CredentialScope::User
    }

    /// Connects for somebody with a client's `initialize`; returns the connection and the server's answer as it came.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn connect(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        initialize: Call,
    ) -> Result<(Connection, String), UpstreamError> {
        Connection::open(self.clone(), principal.clone(), initialize).await
    }
}

impl Program {
    pub(super) async fn start(&self, config: &ServerConfig) -> Result<Process, UpstreamError> {
        let mut env = BTreeMap::new();
        for (name, value) in &self.env {
            let value = match value {
                ProcessValue::Literal(text) => SecretString::from(text.clone()),
                ProcessValue::Secret(reference) => self.secrets.read(reference).await?,
            };
            env.insert(name.clone(), value);
        }
        let launch = Launch {
            name: config.name.clone(),
            command: self.command.clone(),
            args: self.args.clone(),
            directory: None,
            env,
        };
        Process::start(&launch, message_bytes(config), patience(config))
    }
}

fn transport(config: &ServerConfig, environment: &Environment) -> Result<Transport, CompileError> {
    let (endpoint, policy, ca_bundle, bridge) = match &config.target {
        ServerTarget::Remote {
            transport: RemoteTransport::Sse,
            ..
        } => return Err(CompileError::NotSupported("remote.transport: Sse")),
        ServerTarget::Remote { url, ca_bundle, .. } => (
            endpoint(url)?,
            EgressPolicy::declared(&environment.egress),
            ca_bundle.as_deref(),
            None,
        ),
        ServerTarget::InCluster {
            namespace,
            service,
            port,
            path,
            bridge,
        } => (
            endpoint(&format!("http://{service}.{namespace}.svc:{port}{path}"))?,
            EgressPolicy::in_cluster(namespace, service, *port),
            None,
            bridge.then(|| BridgeAccess {
                signer: environment.bridges.clone(),
                audience: audience(namespace, &config.name),
            }),
        ),
        ServerTarget::Process { .. } if !environment.processes => {
            return Err(CompileError::Process);
        }
        ServerTarget::Process { command, args, env } => {
            return Ok(Transport::Process(Program {
                command: command.clone(),
                args: args.clone(),
                env: env.clone(),
                secrets: environment.secrets.clone(),
            }));
        }
    };
    let mut credentials = Credentials::new(&config.credentials, environment.secrets.clone())
        .map_err(CompileError::HeaderName)?;
    if config.oauth.is_some() {
        credentials = credentials.with_tokens(environment.tokens.clone(), &config.name);
    }
    let http = StreamableHttp {
        client: HttpClient::new(&environment.dialer, policy, ca_bundle)?,
        endpoint,
        credentials,
        bridge,
        message_bytes: message_bytes(config),
        patience: patience(config),
    };
    Ok(Transport::Http(Arc::new(http)))
}

/// The URL as the dialer will understand it: by the same parser that browsers
/// use, so that `http://127.1` is what it means and not a name.
fn endpoint(url: &str) -> Result<Uri, CompileError> {
    let url = Url::parse(url).map_err(|_| CompileError::Url("is not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(CompileError::Url("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(CompileError::Url(
            "must not hold a user or password: use auth",
        ));
    }
    url.as_str()
        .split('#')
        .next()
        .and_then(|text| text.parse().ok())
        .ok_or(CompileError::Url("cannot be sent in a request"))
}

fn message_bytes(config: &ServerConfig) -> usize {
    usize::try_from(config.limits.result_bytes).unwrap_or(usize::MAX)
}

fn patience(config: &ServerConfig) -> Duration {
    Duration::from_secs(config.timeout_seconds)
}

pub(super) fn headers(
    principal: Arc<Principal>,
    session_id: Option<&str>,
    revision: &str,
) -> Option<SessionHeaders> {
    let value = |text: &str| http::HeaderValue::from_str(text).ok();
    Some(SessionHeaders {
        principal: Some(principal),
        session_id: match session_id {
            Some(id) => Some(value(id)?),
            None => None,
        },
        protocol_version: Some(value(revision)?),
    })
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
