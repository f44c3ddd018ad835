//! From a document to what requests use. What did not change is kept: issuers
//! with their fetched keys, servers with their connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentapi_crds::tenant_config::{EventSinkConfig, IssuerConfig, ServerConfig, TenantConfig};

use super::Tenant;
use crate::auth::{DevelopmentIssuer, Issuer};
use crate::domain::GlobError;
use crate::domain::prompts::{Prompts, PromptsError};
use crate::store::TenantId;
use crate::telemetry::Metrics;
use crate::upstream::{
    self, BridgeSigner, Dialer, EgressPolicy, EventSink, HttpClient, Secrets, Server, TrustError,
    UpstreamTokens,
};

/// What documents are compiled with.
#[derive(Clone)]
pub struct Environment {
    /// Dials every address that a document names.
    pub dialer: Dialer,
    /// Reads the secrets that a document refers to.
    pub secrets: Arc<dyn Secrets>,
    /// Where tokens of authorization servers are had.
    pub tokens: Arc<dyn UpstreamTokens>,
    /// Trusted by organizations that name no issuer; in the embedded mode only.
    pub development: Option<DevelopmentIssuer>,
    /// Whether servers may be child processes; in the embedded mode only.
    pub processes: bool,
    /// Signs the tokens for the bridges of stdio servers, where there are any.
    pub bridges: Option<Arc<BridgeSigner>>,
    /// Where operations on servers are counted.
    pub metrics: Metrics,
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Keys cannot be fetched from anywhere on this machine.
    #[error("issuers' keys cannot be fetched")]
    Trust(#[from] TrustError),
    /// The inline keys of an issuer are none.
    #[error("the inline keys of issuer {issuer} are not a JSON Web Key Set")]
    Keys {
        /// The issuer.
        issuer: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A prompt policy cannot be used.
    #[error(transparent)]
    Prompts(#[from] PromptsError),
    /// An event sink cannot be used.
    #[error("event sink {sink}: {source}")]
    EventSink {
        /// Name of the sink.
        sink: String,
        /// What is wrong.
        source: GlobError,
    },
    /// An MCP server cannot be used.
    #[error("MCP server {server}: {source}")]
    Server {
        /// Name of the `McpServer`.
        server: String,
        /// What is wrong.
        source: upstream::CompileError,
    },
}

/// Compiles a document. May take milliseconds: not on a request's path.
///
/// A suspended organization uses neither servers nor prompts, so that a broken
/// one cannot keep it in service.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(
    config: TenantConfig,
    previous: Option<&Tenant>,
    environment: &Environment,
) -> Result<Tenant, CompileError> {
    let http = http(&config, previous, environment)?;
    let issuers = issuers(&config, previous, environment, &http)?;
    let event_sinks = event_sinks(&config, previous, environment, &http)?;
    let (prompts, servers) = match config.suspended {
        true => Default::default(),
        false => (
            Prompts::compile(&config.prompts)?,
            servers(&config, previous, environment)?,
        ),
    };
    Ok(Tenant {
        id: TenantId(config.tenant_id),
        issuers,
        prompts,
        servers,
        event_sinks,
        http,
        config: Arc::new(config),
    })
}

/// HTTP within the organization's egress.
fn http(
    config: &TenantConfig,
    previous: Option<&Tenant>,
    environment: &Environment,
) -> Result<HttpClient, TrustError> {
    match reusable(config, previous) {
        Some(previous) => Ok(previous.http.clone()),
        None => {
            let policy = EgressPolicy::declared(&config.egress);
            HttpClient::new(&environment.dialer, policy, None)
        }
    }
}

fn issuers(
    config: &TenantConfig,
    previous: Option<&Tenant>,
    environment: &Environment,
    http: &HttpClient,
) -> Result<Vec<Arc<Issuer>>, CompileError> {
    let reusable = reusable(config, previous);
    let kept = |wanted: &IssuerConfig| {
        let known = reusable.map(|tenant| tenant.issuers.as_slice())?;
        known
            .iter()
            .find(|issuer| issuer.config == *wanted)
            .cloned()
    };
    let compiled = |wanted: IssuerConfig| match kept(&wanted) {
        Some(issuer) => Ok(issuer),
        None => Issuer::compile(&wanted, http)
            .map(Arc::new)
            .map_err(|source| CompileError::Keys {
                issuer: wanted.issuer,
                source,
            }),
    };
    trusted(config, environment)
        .into_iter()
        .map(compiled)
        .collect()
}

/// What was compiled for the same egress: what it dials, it dials within that.
fn reusable<'a>(config: &TenantConfig, previous: Option<&'a Tenant>) -> Option<&'a Tenant> {
    previous.filter(|previous| previous.config.egress == config.egress)
}

fn event_sinks(
    config: &TenantConfig,
    previous: Option<&Tenant>,
    environment: &Environment,
    http: &HttpClient,
) -> Result<Vec<Arc<EventSink>>, CompileError> {
    let reusable = reusable(config, previous);
    let kept = |wanted: &EventSinkConfig| {
        let known = reusable.map(|tenant| tenant.event_sinks.as_slice())?;
        known.iter().find(|sink| sink.config == *wanted).cloned()
    };
    let compiled = |wanted: &EventSinkConfig| match kept(wanted) {
        Some(sink) => Ok(sink),
        None => EventSink::compile(wanted, http, &environment.secrets)
            .map(Arc::new)
            .map_err(|source| CompileError::EventSink {
                sink: wanted.name.clone(),
                source,
            }),
    };
    config.event_sinks.iter().map(compiled).collect()
}

/// The organization's issuers; the development one only where there are none.
fn trusted(config: &TenantConfig, environment: &Environment) -> Vec<IssuerConfig> {
    match &environment.development {
        Some(development) if config.identity.issuers.is_empty() => {
            vec![development.config_for(&config.organization)]
        }
        _ => config.identity.issuers.clone(),
    }
}

fn servers(
    config: &TenantConfig,
    previous: Option<&Tenant>,
    environment: &Environment,
) -> Result<BTreeMap<String, Arc<Server>>, CompileError> {
    let environment = upstream::Environment {
        dialer: environment.dialer.clone(),
        egress: config.egress.as_slice().into(),
        secrets: environment.secrets.clone(),
        tokens: environment.tokens.clone(),
        processes: environment.processes,
        bridges: environment.bridges.clone(),
        metrics: environment.metrics.clone(),
    };
    let compiled = |wanted: &ServerConfig| {
        let known = previous.and_then(|tenant| tenant.servers.get(&wanted.name));
        let server = match known.filter(|known| known.is_current(wanted, &environment)) {
            Some(known) => known.clone(),
            None => Arc::new(Server::compile(wanted, &environment).map_err(|source| {
                CompileError::Server {
                    server: wanted.name.clone(),
                    source,
                }
            })?),
        };
        Ok((wanted.name.clone(), server))
    };
    config.servers.iter().map(compiled).collect()
}
