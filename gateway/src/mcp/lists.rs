//! Merged lists: asked of all servers at once, joined in one order, kept for seconds.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use moka::future::Cache;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::federated::own_call;
use super::handlers::Exchange;
use super::live::Live;
use crate::domain::mcp::{Failure, ListKind, ServerKind, ServerMessage, code, merge, rename_items};
use crate::store::TenantId;
use crate::upstream::{Connection, Operation, Server, UpstreamError};

/// How long a merged list may be old.
const TIME_TO_LIVE: Duration = Duration::from_secs(5);
/// Bytes of all cached lists together.
const CAPACITY: u64 = 64 * 1024 * 1024;
/// A list may wait for a session and for a page, each as long as a call may.
const STEPS: u32 = 2;
/// Most pages that one server is asked for.
const MAX_PAGES: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    revision: String,
    kind: ListKind,
    /// Servers may offer less to a client that can do less.
    client: u64,
    /// Whose servers are in it besides the organization's, and which.
    own: Option<(Arc<str>, u64)>,
    /// Whose list it is, where a server shows each user their own account.
    user: Option<Arc<str>>,
}

/// Cached lists. What a session's own state may show (resources) is never shared.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    cache: Cache<Key, Arc<str>>,
}

/// Why one server's items are missing.
enum Missing {
    Upstream(UpstreamError),
    /// The server answered with an error of its own.
    Refused(String),
}

impl From<UpstreamError> for Missing {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

impl Lists {
    pub(super) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .weigher(|_: &Key, list: &Arc<str>| u32::try_from(list.len()).unwrap_or(u32::MAX))
            .time_to_live(TIME_TO_LIVE)
            .support_invalidation_closures()
            .build();
        Self { cache }
    }

    /// Forgets the lists of an organization: a server has said that one changed.
    pub(super) fn forget(&self, tenant: TenantId) {
        if let Err(error) = self
            .cache
            .invalidate_entries_if(move |key, _| key.tenant == tenant)
        {
            tracing::error!(%error, "cached lists cannot be invalidated");
        }
    }

    /// The `result` of a list over all servers.
    pub(super) async fn merged(
        &self,
        exchange: &Exchange,
        session: &Arc<Live>,
        kind: ListKind,
    ) -> Arc<str> {
        let is_personal = exchange.servers.iter().any(|server| server.is_personal());
        let key = Key {
            tenant: exchange.caller.tenant_id(),
            revision: exchange.caller.tenant.config.revision.clone(),
            kind,
            client: digest(&session.client_capabilities),
            own: exchange
                .servers
                .own_digest()
                .map(|digest| (exchange.caller.user.clone(), digest)),
            user: is_personal.then(|| exchange.caller.user.clone()),
        };
        let shared = kind != ListKind::Resources;
        if shared && let Some(list) = self.cache.get(&key).await {
            return list;
        }
        let (items, failures) = ask_all(exchange, session, kind).await;
        let list: Arc<str> = merge(kind, &items, &failures).into();
        if shared && failures.is_empty() {
            self.cache.insert(key, list.clone()).await;
        }
        list
    }
}

async fn ask_all(
    exchange: &Exchange,
    session: &Arc<Live>,
    kind: ListKind,
) -> (Vec<String>, Vec<Failure>) {
    let servers = &exchange.servers;
    let asked = servers.iter().map(|server| async move {
        let ours = servers.by_prefix(server.prefix());
        if kind.is_prefixed() && !ours.is_some_and(|ours| Arc::ptr_eq(ours, server)) {
            return Err(ambiguous(server));
        }
        let started = Instant::now();
        let limit = server.patience() * STEPS;
        let found = timeout(limit, ask(session, server, kind)).await;
        let found = found.unwrap_or(Err(UpstreamError::Timeout(limit).into()));
        let label = found.as_ref().err().map_or("success", Missing::code);
        let metrics = &exchange.state.metrics;
        metrics.upstream(Operation::List.name(), label, started.elapsed());
        found.map_err(|missing| missing.failure(server, &exchange.state.public_url))
    });
    let mut items = Vec::new();
    let mut failures = Vec::new();
    for found in join_all(asked).await {
        match found {
            Ok(found) => items.extend(found),
            Err(failure) => failures.push(failure),
        }
    }
    (items, failures)
}

/// All items of one server, renamed.
async fn ask(
    session: &Arc<Live>,
    server: &Arc<Server>,
    kind: ListKind,
) -> Result<Vec<String>, Missing> {
    if !may_have(server, kind) {
        return Ok(vec![]);
    }
    let connection = session.upstreams.with(server).await?;
    if !may_have(server, kind) {
        return Ok(vec![]);
    }
    let mut items = Vec::new();
    let mut bytes = 0;
    let mut params = "{}".to_owned();
    for _ in 0..MAX_PAGES {
        let Some((page, next)) = ask_page(session, &connection, kind, &params).await? else {
            return Ok(items);
        };
        bytes += page.iter().map(String::len).sum::<usize>();
        items.extend(page);
        let most = server.config.limits.result_bytes;
        if bytes as u64 > most {
            return Err(UpstreamError::TooLarge(most as usize).into());
        }
        match next {
            Some(cursor) => params = serde_json::json!({ "cursor": cursor }).to_string(),
            None => return Ok(items),
        }
    }
    Err(UpstreamError::Invalid("its list does not end").into())
}

type Page = (Vec<String>, Option<String>);

/// One page; nothing, if the server has no such list.
async fn ask_page(
    session: &Live,
    connection: &Arc<Connection>,
    kind: ListKind,
    params: &str,
) -> Result<Option<Page>, Missing> {
    let server = connection.server();
    let call = own_call(kind.method(), params);
    let called = connection
        .call(Operation::List, call, &CancellationToken::new())
        .await;
    let answer = match called {
        Ok(reply) => reply.response().await,
        Err(error) => Err(error),
    };
    if let Err(UpstreamError::SessionLost | UpstreamError::Exited) = &answer {
        session.upstreams.lost(connection);
    }
    let answer = answer?;
    let invalid = || UpstreamError::Invalid("its list cannot be read");
    match ServerMessage::peek(&answer).ok_or_else(invalid)?.kind {
        ServerKind::Result { result, .. } => {
            let names = Some((server.prefix(), server.name()));
            let page = rename_items(kind, result, names, |tool| server.offers(tool));
            Ok(Some(page.map_err(|_| invalid())?))
        }
        ServerKind::Error { error, .. } => match RefusedList::read(error) {
            Some(refused) if refused.code == code::METHOD_NOT_FOUND => Ok(None),
            Some(refused) => Err(Missing::Refused(refused.message)),
            None => Err(invalid().into()),
        },
        _ => Err(invalid().into()),
    }
}

/// Whether a server may have such a list, as far as it was heard.
fn may_have(server: &Server, kind: ListKind) -> bool {
    let capabilities = server.capabilities();
    capabilities.is_none_or(|capabilities| capabilities.get(kind.capability()).is_some())
}

#[derive(Deserialize)]
struct RefusedList {
    code: i64,
    message: String,
}

impl RefusedList {
    fn read(error: &str) -> Option<Self> {
        serde_json::from_str(error).ok()
    }
}

impl Missing {
    fn code(&self) -> &'static str {
        match self {
            Self::Upstream(error) => error.code(),
            Self::Refused(_) => "upstream_error",
        }
    }

    fn failure(self, server: &Server, public_url: &str) -> Failure {
        let (message, retryable, connect) = match &self {
            Self::Upstream(error) => (error.to_string(), error.retryable(), error.connect()),
            Self::Refused(message) => (message.clone(), false, None),
        };
        tracing::warn!(
            server = server.name(),
            code = self.code(),
            message,
            "a server is missing from a list"
        );
        Failure {
            server: server.name().to_owned(),
            code: self.code(),
            message,
            retryable,
            connect_url: connect.map(|path| format!("{public_url}{path}")),
        }
    }
}

fn ambiguous(server: &Server) -> Failure {
    Failure {
        server: server.name().to_owned(),
        code: "prefix_in_use",
        message: format!("another server uses the prefix {:?} too", server.prefix()),
        retryable: false,
        connect_url: None,
    }
}

fn digest(capabilities: &serde_json::Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    capabilities.to_string().hash(&mut hasher);
    hasher.finish()
}
