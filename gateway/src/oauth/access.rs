//! Tokens in use: fresh ones at hand for seconds, others from the store, refreshed where that is due.

use std::sync::Arc;

use agentapi_crds::tenant_config::CredentialScope;
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::authorization_server::binding;
use super::connect::{configured, connect_path, holder_of};
use super::token_endpoint::sensitive;
use super::tokens::Tokens;
use super::{Holding, OAuth, OAuthError};
use crate::store::Connection;
use crate::tenants::Tenant;
use crate::upstream::{AccessToken, NoToken, Principal, UpstreamTokens};

/// Times that a token at hand may turn out to be the refused one.
const ATTEMPTS: usize = 3;

/// One request for a token.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) tenant: Arc<Tenant>,
    pub(super) holding: Holding,
    /// What the settings are now.
    pub(super) binding: [u8; 32],
    /// Which set of tokens the server did not accept.
    pub(super) refused: Option<AccessToken>,
    /// Where the account is connected, for whoever asks.
    pub(super) connect: Arc<str>,
}

impl Wanted {
    pub(super) fn not_connected(&self) -> NoToken {
        NoToken::NotConnected {
            connect: self.connect.clone(),
        }
    }

    pub(super) fn reconnect(&self) -> NoToken {
        NoToken::Reconnect {
            connect: self.connect.clone(),
        }
    }

    /// Whether these tokens are those that were refused.
    pub(super) fn are_refused(&self, connection: &Connection) -> bool {
        let refused = self.refused.as_ref();
        refused.is_some_and(|refused| {
            (refused.connection, refused.version) == (connection.id, connection.version)
        })
    }
}

#[async_trait]
impl UpstreamTokens for OAuth {
    async fn token(
        &self,
        principal: &Principal,
        server: &str,
        refused: Option<&AccessToken>,
    ) -> Result<Arc<AccessToken>, NoToken> {
        let wanted = self.wanted(principal, server, refused)?;
        for _ in 0..ATTEMPTS {
            let token = self.at_hand(&wanted).await?;
            if refused != Some(&*token) {
                return Ok(token);
            }
            self.forget(&wanted.holding).await;
        }
        Err(OAuthError::Slow.into())
    }
}

impl OAuth {
    fn wanted(
        &self,
        principal: &Principal,
        server: &str,
        refused: Option<&AccessToken>,
    ) -> Result<Wanted, NoToken> {
        let tenant = self.parts().tenants.by_id(principal.tenant);
        let tenant = tenant.ok_or(OAuthError::NoServer)?;
        let config = configured(&tenant, server)?;
        let oauth = config.oauth.as_ref().ok_or(OAuthError::NotOAuth)?;
        let binding = binding(config, oauth);
        let holder = holder_of(config, principal.user.as_ref());
        if holder.is_none() && config.credential_scope == CredentialScope::User {
            return Err(NoToken::NoUser);
        }
        let user = principal.user.as_deref().unwrap_or_default();
        let connect = connect_path(&tenant.config.organization, server, tenant.id, user);
        Ok(Wanted {
            holding: Holding {
                tenant: tenant.id,
                server: server.into(),
                holder,
            },
            tenant,
            binding,
            refused: refused.cloned(),
            connect: connect.into(),
        })
    }

    /// The token at hand, or one had for all who wait for it. That goes on when
    /// nobody waits any more: what an authorization server answers must be kept.
    async fn at_hand(&self, wanted: &Wanted) -> Result<Arc<AccessToken>, NoToken> {
        let (oauth, working) = (self.clone(), wanted.clone());
        let obtain = async move {
            let obtained = tokio::spawn(async move { oauth.obtain(&working).await }).await;
            obtained.unwrap_or(Err(OAuthError::Slow.into()))
        };
        let had = self.0.fresh.try_get_with(wanted.holding.clone(), obtain);
        had.await.map_err(|error: Arc<NoToken>| (*error).clone())
    }
}

/// The token as it is sent.
pub(super) fn access_token(
    connection: &Connection,
    tokens: &Tokens,
) -> Result<Arc<AccessToken>, OAuthError> {
    let text = zeroize::Zeroizing::new(format!("Bearer {}", tokens.access.expose_secret()));
    Ok(Arc::new(AccessToken {
        authorization: sensitive(&text)?,
        connection: connection.id,
        version: connection.version,
    }))
}
