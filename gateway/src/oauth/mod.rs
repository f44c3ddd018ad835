//! OAuth 2.0 towards the authorization servers of upstream MCP servers: how users
//! connect their accounts, and how tokens are kept fresh and are revoked.
//!
//! - `authorization_server`: which server, client and resource a configuration means.
//! - `token_endpoint`: one question to a token endpoint, and what its failure means.
//! - [`OAuth::begin`], [`OAuth::complete`]: to an authorization server and back, in one browser.
//! - `access`, `refresh`: tokens in use; one refresh for one token across all replicas.
//! - `revoke`: what is disconnected is revoked, as often as it takes.
//! - [`LoginTicket`]: who sits before a browser, by the organization's own issuer.
//!
//! Every address here is dialled within the organization's egress.

mod access;
mod authorization_server;
mod connect;
mod error;
mod login;
mod refresh;
mod revoke;
mod token_endpoint;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use moka::future::Cache;
use secrecy::SecretString;
use tokio::sync::Notify;
use uuid::Uuid;

pub use authorization_server::CLIENT_DOCUMENT;
pub use connect::{Browser, CALLBACK, Connected, Returned, connect_path, user_digest};
pub use error::OAuthError;
pub use login::{LOGIN, LoginTicket, login_issuer};

use crate::domain::oauth::{Metadata, Ticket};
use crate::encryption::{EncryptionKeys, Location, Sealed, SealedColumn};
use crate::store::{Store, TenantId};
use crate::telemetry::Metrics;
use crate::tenants::Tenants;
use crate::upstream::{AccessToken, Dialer, NoToken, Secrets};

/// How long a token is used without asking the store: what was disconnected
/// through another replica is used no longer than this.
const FRESH: Duration = Duration::from_secs(3);
/// How long a discovery document is believed.
const DISCOVERED: Duration = Duration::from_secs(600);
/// Most tokens, and most documents, that are remembered.
const MOST: u64 = 100_000;

/// What is worked with.
pub struct Parts {
    /// Organizations.
    pub tenants: Tenants,
    /// Where connections are kept.
    pub store: Arc<dyn Store>,
    /// Where clients' registrations are read.
    pub secrets: Arc<dyn Secrets>,
    /// Dials for organizations that are gone.
    pub dialer: Dialer,
    /// Keys that tokens are sealed with; without them nothing can be connected.
    pub keys: Option<EncryptionKeys>,
    /// Counters.
    pub metrics: Metrics,
}

/// Connections with upstream servers. Cloning is cheap.
#[derive(Clone)]
pub struct OAuth(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Tokens in use, by whose and for which server.
    fresh: Cache<Holding, Arc<AccessToken>>,
    /// What authorization servers say of themselves, by organization and what they were found by.
    discovered: Cache<(TenantId, String), Arc<Metadata>>,
    /// Something is to be revoked.
    revocations: Notify,
}

/// Whose connection with which server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Holding {
    tenant: TenantId,
    server: Arc<str>,
    /// The user, or nobody where it is the organization's.
    holder: Option<Arc<str>>,
}

impl std::fmt::Debug for OAuth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut oauth = formatter.debug_struct("OAuth");
        oauth.field("can_seal", &self.0.parts.keys.is_some());
        oauth.finish_non_exhaustive()
    }
}

impl OAuth {
    /// Nothing is dialled or read yet.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            fresh: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(FRESH)
                .build(),
            discovered: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(DISCOVERED)
                .build(),
            revocations: Notify::new(),
        }))
    }

    fn parts(&self) -> &Parts {
        &self.0.parts
    }

    fn store(&self) -> &dyn Store {
        &*self.0.parts.store
    }

    fn keys(&self) -> Result<&EncryptionKeys, OAuthError> {
        self.0.parts.keys.as_ref().ok_or(OAuthError::NoKeys)
    }

    fn seal(&self, tenant: TenantId, row: Uuid, text: &SecretString) -> Result<Sealed, OAuthError> {
        Ok(self.keys()?.seal(&location(tenant, row), text)?)
    }

    fn open(
        &self,
        tenant: TenantId,
        row: Uuid,
        sealed: &Sealed,
    ) -> Result<SecretString, OAuthError> {
        Ok(self.keys()?.open(&location(tenant, row), sealed)?)
    }

    /// Makes this replica ask the store about a connection again.
    async fn forget(&self, holding: &Holding) {
        self.0.fresh.invalidate(holding).await;
    }
}

fn location(tenant: TenantId, row: Uuid) -> Location {
    Location {
        tenant,
        column: SealedColumn::OAuthTokens,
        row,
    }
}

/// A ticket of a tenant that nobody can guess.
///
/// # Errors
/// When the system gives no random numbers.
pub fn new_ticket(tenant: TenantId) -> Result<Ticket, OAuthError> {
    let mut secret = [0; 32];
    rand::fill(&mut secret).map_err(|_| OAuthError::NoRandomness)?;
    Ok(Ticket::new(tenant.0, Uuid::new_v4(), secret))
}

impl From<OAuthError> for NoToken {
    fn from(error: OAuthError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}
