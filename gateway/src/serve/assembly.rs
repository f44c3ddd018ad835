//! From configuration to services, and their life from start to shutdown.

use std::sync::Arc;

use futures::future::OptionFuture;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::admin::Readiness;
use super::health::{self, Health, Sources};
use super::listen::{bind, serve};
use super::{Addresses, ServeError, admin, record, sweeper};
use crate::audit::{Anchors, Keeper, Recorder};
use crate::auth::{Authenticator, DevelopmentIssuer, ServiceAccounts};
use crate::cache::Cache;
use crate::config::Config;
use crate::domain::audit::Signer;
use crate::domain::events::Retries;
use crate::events::Dispatcher;
use crate::http::{AppState, Services, Streams, router};
use crate::internal::{self, Internal, OperatorAccess};
use crate::limits::{Admission, Limiter, Shared};
use crate::mcp::{Mcp, Origins};
use crate::oauth::{self, OAuth};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::tenants::{Environment, Installer, Removals, Tenant, Tenants};
use crate::upstream::{BridgeSigner, Dialer, HostsFile, Secrets};
use crate::user_servers::UserServers;
use crate::{cache, rekeying, store};

/// What the program around the gateway gives it, besides configuration.
pub struct Embedding {
    /// Reads the secrets that documents refer to.
    pub secrets: Arc<dyn Secrets>,
    /// Trusted by organizations that name no issuer. No configuration can set
    /// it, and `agentapi-gateway serve` never does.
    pub development: Option<DevelopmentIssuer>,
    /// Verifies tokens of the cluster's service accounts; nothing where there is no cluster.
    pub service_accounts: Option<ServiceAccounts>,
    /// Whether stdio servers run as child processes of this one.
    pub processes: bool,
}

/// An assembled gateway: its organizations are installed first, then it runs.
pub struct Gateway {
    config: Config,
    store: Arc<dyn Store>,
    cache: Arc<dyn Cache>,
    shared: Shared,
    admission: Admission,
    recorder: Recorder,
    keeper: Keeper,
    signer: Option<Arc<Signer>>,
    anchors: Arc<dyn Anchors>,
    oauth: OAuth,
    tenants: Tenants,
    installer: Installer,
    removals: Removals,
    /// What was taken out of service; taken by `run`.
    removed: Option<UnboundedReceiver<Arc<Tenant>>>,
    service_accounts: Option<ServiceAccounts>,
    metrics: Metrics,
    synced: watch::Sender<bool>,
}

impl Gateway {
    /// Opens the store, the cache and the record.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn assemble(config: Config, embedding: Embedding) -> Result<Self, ServeError> {
        let store = store::open(database_url(&config)?).await?;
        Self::assemble_on(store, config, embedding).await
    }

    /// Opens the cache and the record, on a store that is open.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn assemble_on(
        store: Arc<dyn Store>,
        config: Config,
        embedding: Embedding,
    ) -> Result<Self, ServeError> {
        install_crypto();
        rekeying::check(&*store, config.encryption_keys.as_ref()).await?;
        let cache = cache::open(config.redis_url.as_ref())?;
        let metrics = Metrics::new();
        let shared = Shared::new(cache.clone(), config.replicas, metrics.clone());
        let most = config.requests_under_way;
        let admission = Admission::new(most, shared.clone(), metrics.clone());
        let tenants = Tenants::default();
        let signer = record::signer(&config)?;
        let anchors = cache::anchors(config.redis_url.as_ref())?;
        let policies = Arc::new(tenants.clone());
        let recorder = Recorder::with_policies(store.clone(), policies, metrics.clone()).await?;
        let keeping = record::keeping(signer.clone(), anchors.clone(), metrics.clone());
        let keeper = Keeper::start(store.clone(), recorder.ledger(), keeping);
        let dialer = dialer(&config);
        let oauth = OAuth::new(oauth::Parts {
            tenants: tenants.clone(),
            store: store.clone(),
            secrets: embedding.secrets.clone(),
            dialer: dialer.clone(),
            keys: config.encryption_keys.clone(),
            metrics: metrics.clone(),
        });
        let environment = Environment {
            dialer,
            secrets: embedding.secrets,
            tokens: Arc::new(oauth.clone()),
            development: embedding.development,
            processes: embedding.processes,
            bridges: bridges(&config)?,
            metrics: metrics.clone(),
        };
        let (removals, removed) = Removals::new();
        let installer = Installer::new(
            tenants.clone(),
            environment,
            removals.clone(),
            metrics.clone(),
        );
        let synced = watch::Sender::new(false);
        Ok(Self {
            config,
            store,
            cache,
            shared,
            admission,
            recorder,
            keeper,
            signer,
            anchors,
            oauth,
            tenants,
            installer,
            removals,
            removed: Some(removed),
            service_accounts: embedding.service_accounts,
            metrics,
            synced,
        })
    }

    /// Puts organizations into service, before and while the gateway runs.
    pub fn installer(&self) -> Installer {
        self.installer.clone()
    }

    /// To be set to true once all organizations are installed: the gateway is not ready before.
    pub fn synced(&self) -> watch::Sender<bool> {
        self.synced.clone()
    }

    /// Serves until `shutdown`, then finishes what is in flight. `ready` is
    /// called once, with the addresses, when both listeners take connections.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        ready: impl FnOnce(Addresses),
    ) -> Result<(), ServeError> {
        let public = bind(self.config.listen, "AGENTAPI_LISTEN").await?;
        let admin = bind(self.config.admin_listen, "AGENTAPI_ADMIN_LISTEN").await?;
        let addresses = Addresses {
            public: address(&public)?,
            admin: address(&admin)?,
        };
        let (recorder, keeper) = (self.recorder.clone(), self.keeper.clone());
        let grace = self.config.shutdown_grace;
        let readiness = self.readiness(shutdown.clone());
        let health = self.health();
        let watching = tokio::spawn(health.clone().watch(shutdown.clone()));
        let sharing = tokio::spawn(self.shared.clone().watch(shutdown.clone()));
        let admitting = tokio::spawn(self.admission.clone().watch(shutdown.clone()));
        let sweeping = tokio::spawn(sweeper::run(self.store.clone(), shutdown.clone()));
        let delivering = tokio::spawn(self.dispatcher().run(shutdown.clone()));
        let revoking = tokio::spawn(self.oauth.clone().revoke_all(shutdown.clone()));
        let internal = self.internal(shutdown.clone());
        let removals = self.removals.clone();
        let removed = self.removed.take();
        let state = self.into_state(addresses);
        let (authenticator, mcp) = (state.authenticator.clone(), state.mcp.clone());
        let streams = state.streams.clone();
        let router = router(state)?;
        let closing = removed.map(|removed| internal::close(removed, removals, authenticator, mcp));
        let closing = tokio::spawn(OptionFuture::from(closing));
        ready(addresses);

        // The platform may ask for as long as requests are finished.
        let finished = CancellationToken::new();
        let stop_admin = finished.clone().drop_guard();
        let operations = tokio::spawn(serve(
            admin,
            admin::router(readiness, internal).merge(health::router(health)),
            finished,
            grace,
        ));
        let stopping = shutdown.clone();
        tokio::spawn(async move {
            stopping.cancelled().await;
            streams.close();
        });
        let served = serve(public, router, shutdown, grace).await;
        closing.abort();
        recorder.close().await;
        keeper.close().await;
        if let Err(error) = delivering.await {
            tracing::error!(%error, "the delivery of events failed");
        }
        sweeping.abort();
        revoking.abort();
        watching.abort();
        sharing.abort();
        admitting.abort();
        drop(stop_admin);
        let operated = operations.await.unwrap_or(Ok(()));
        served.and(operated).map_err(ServeError::Failed)
    }

    fn dispatcher(&self) -> Dispatcher {
        Dispatcher::new(
            self.store.clone(),
            self.tenants.clone(),
            Retries::default(),
            self.metrics.clone(),
        )
    }

    fn health(&self) -> Health {
        Health::new(Sources {
            store: self.store.clone(),
            cache: self.cache.clone(),
            shared: self.shared.clone(),
            encryption_keys: self.config.encryption_keys.clone(),
            tenants: self.tenants.clone(),
            synced: self.synced.subscribe(),
        })
    }

    fn readiness(&self, stopping: CancellationToken) -> Readiness {
        Readiness {
            store: self.store.clone(),
            synced: self.synced.subscribe(),
            metrics: self.metrics.clone(),
            stopping,
        }
    }

    /// What the operator asks; nothing where there is no cluster with one.
    fn internal(&self, stopping: CancellationToken) -> Option<Internal> {
        let accounts = self.service_accounts.clone()?;
        Some(Internal::new(internal::Parts {
            access: OperatorAccess::new(accounts, &self.config.platform_namespace),
            tenants: self.tenants.clone(),
            reports: self.installer.reports(),
            removals: self.removals.clone(),
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            synced: self.synced.subscribe(),
            stopping,
        }))
    }

    pub(crate) fn into_state(self, addresses: Addresses) -> AppState {
        let public_url = match &self.config.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", addresses.public),
        };
        AppState::new(Services {
            authenticator: Authenticator::new(
                self.tenants.clone(),
                self.store.clone(),
                self.service_accounts,
            ),
            tenants: self.tenants,
            limiter: Limiter::new(self.shared),
            admission: self.admission,
            user_servers: UserServers::new(
                self.store.clone(),
                self.config.encryption_keys.clone(),
                dialer(&self.config),
                self.metrics.clone(),
            ),
            mcp: Mcp::new(self.store.clone()),
            store: self.store,
            recorder: self.recorder,
            streams: Streams::default(),
            signer: self.signer,
            anchors: self.anchors,
            oauth: self.oauth,
            metrics: self.metrics,
            origins: Origins::new(&public_url, self.config.allowed_origins),
            public_url,
            body_limit: self.config.request_body_bytes,
            request_timeout: self.config.request_timeout,
            trusted_proxies: self.config.trusted_proxies,
        })
    }
}

fn dialer(config: &Config) -> Dialer {
    let allowed = config.outbound_allow.clone();
    match &config.hosts_file {
        Some(path) => Dialer::with_resolver(allowed, Arc::new(HostsFile::new(path.clone()))),
        None => Dialer::new(allowed),
    }
}

fn bridges(config: &Config) -> Result<Option<Arc<BridgeSigner>>, ServeError> {
    let signer = config.bridge_signing_key.as_ref();
    let signer = signer.map(BridgeSigner::from_pem).transpose()?;
    Ok(signer.map(Arc::new))
}

fn database_url(config: &Config) -> Result<&SecretString, ServeError> {
    config.database_url.as_ref().ok_or(ServeError::NotSet {
        field: "database_url",
        variable: "AGENTAPI_DATABASE_URL",
        example: "to postgres://USER:PASSWORD@HOST/DATABASE, or to sqlite:PATH when embedded",
    })
}

fn address(listener: &TcpListener) -> Result<std::net::SocketAddr, ServeError> {
    listener.local_addr().map_err(ServeError::Failed)
}

/// One TLS provider for every client of this process. Whoever embeds the gateway may have chosen before.
pub(super) fn install_crypto() {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("the process has a TLS provider already");
    }
}
