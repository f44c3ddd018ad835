//! Where tokens for upstreams come from that an authorization server gives.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use uuid::Uuid;

use crate::store::TenantId;

/// For whom a server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The tenant.
    pub tenant: TenantId,
    /// The user; nobody where the platform itself asks.
    pub user: Option<Arc<str>>,
}

/// A token as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Value of the header field `Authorization`, not shown by debug output.
    pub authorization: HeaderValue,
    /// The connection that it is of.
    pub connection: Uuid,
    /// Which set of tokens of the connection it is of.
    pub version: i64,
}

/// Why there is no token. Cheap to clone, since several may wait for the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoToken {
    /// The holder has not connected an account, or not for what is configured now.
    #[error("the server needs an account that is not connected yet: open the connect link")]
    NotConnected {
        /// Path and query of the page where it is connected.
        connect: Arc<str>,
    },
    /// Only the holder's consent helps.
    #[error("the account must be connected again: open the connect link")]
    Reconnect {
        /// Path and query of the page where it is connected.
        connect: Arc<str>,
    },
    /// The server takes each user's own, and no user asks.
    #[error("the server takes each user's own account, and nobody's is used without its user")]
    NoUser,
    /// There may be one later.
    #[error("no token can be had now")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// Gives tokens, fresh ones where that is needed.
#[async_trait]
pub trait UpstreamTokens: Send + Sync + 'static {
    /// The token for a server, by its name; another one than `refused`, which the server did not accept.
    async fn token(
        &self,
        principal: &Principal,
        server: &str,
        refused: Option<&AccessToken>,
    ) -> Result<Arc<AccessToken>, NoToken>;
}

/// Gives none: for servers that take none.
pub struct NoTokens;

#[async_trait]
impl UpstreamTokens for NoTokens {
    async fn token(
        &self,
        _: &Principal,
        _: &str,
        _: Option<&AccessToken>,
    ) -> Result<Arc<AccessToken>, NoToken> {
        Err(NoToken::NoUser)
    }
}
