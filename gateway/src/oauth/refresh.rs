//! One refresh for one token, across all replicas.
//!
//! Whoever finds that a token is due takes the lease on its row, notes that the refresh
//! token is about to be sent, sends it, and writes the answer under the lease's epoch.
//! Others wait for the new version. No transaction is open while the authorization server
//! is asked, so each step may be the last of a process:
//!
//! - before the note: the lease ends, and the next one refreshes;
//! - after the note: it is not known what became of the refresh token. Where it may
//!   have been replaced it is not sent again: the account is connected anew;
//! - after the answer is written: everybody has the new tokens.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use secrecy::SecretString;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::access::{Wanted, access_token};
use super::authorization_server::Resolved;
use super::connect::configured;
use super::token_endpoint::{self, Form};
use super::tokens::Tokens;
use super::{OAuth, OAuthError};
use crate::domain::oauth::{Due, Profile, Rotation, Standing, TokenError, TokenSet};
use crate::store::{
    Connection, ConnectionState, NewConnection, RefreshLease, SealedTokens, StoreError,
};
use crate::telemetry::chain;
use crate::upstream::{AccessToken, NoToken};

/// Longest wait for somebody else's refresh: longer than a lease.
const PATIENCE: Duration = Duration::from_secs(20);
/// Shortest pause before another look; up to twice as long.
const LOOK: Duration = Duration::from_millis(50);

/// What came of trying to refresh.
enum Tried {
    /// The tokens are new, or somebody else's doing: look again.
    Again,
    /// Only consent helps.
    Reconnect,
    /// Not now; the refresh token is as good as before.
    Later(OAuthError),
}

impl OAuth {
    /// A token that may be used, refreshed if that is due.
    pub(super) async fn obtain(&self, wanted: &Wanted) -> Result<Arc<AccessToken>, NoToken> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let connection = self.current(wanted).await?;
            let again = match self.standing(wanted, &connection)? {
                (Due::Usable, _) => return self.usable(wanted, &connection),
                (Due::Wait, _) => None,
                (Due::Lost | Due::Ended, _) => return Err(self.ended(wanted, &connection).await),
                (Due::Refresh, profile) => Some(profile.rotation == Rotation::Never),
            };
            let Some(again) = again else {
                sleep(LOOK + LOOK.mul_f64(fraction())).await;
                continue;
            };
            match self.refresh(wanted, &connection, again).await? {
                Tried::Again => {}
                Tried::Reconnect => return Err(wanted.reconnect()),
                Tried::Later(error) => return self.until_later(wanted, &connection, error),
            }
        }
        Err(OAuthError::Slow.into())
    }

    /// The connection, if it is for what is configured now.
    async fn current(&self, wanted: &Wanted) -> Result<Connection, NoToken> {
        let holding = &wanted.holding;
        let found = self
            .store()
            .connection(holding.tenant, &holding.server, holding.holder.as_deref())
            .await
            .map_err(OAuthError::from)?;
        let connection = found.filter(|found| found.binding == wanted.binding);
        let connection = connection.ok_or_else(|| wanted.not_connected())?;
        match connection.state {
            ConnectionState::Connected => Ok(connection),
            _ => Err(wanted.reconnect()),
        }
    }

    fn standing(
        &self,
        wanted: &Wanted,
        connection: &Connection,
    ) -> Result<(Due, Profile), OAuthError> {
        let config = configured(&wanted.tenant, &wanted.holding.server)?;
        let oauth = config.oauth.as_ref().ok_or(OAuthError::NotOAuth)?;
        let profile = Profile::of(&oauth.authorization_server);
        let standing = Standing {
            expires_at: connection.expires_at,
            refreshable: connection.refreshable,
            leased_until: connection.leased_until,
            sent: connection.sent,
            rotation: profile.rotation,
        };
        let due = standing.due(connection.read_at, wanted.are_refused(connection));
        Ok((due, profile))
    }

    fn usable(
        &self,
        wanted: &Wanted,
        connection: &Connection,
    ) -> Result<Arc<AccessToken>, NoToken> {
        let tokens = self.opened(wanted.holding.tenant, connection)?;
        Ok(access_token(connection, &tokens)?)
    }

    /// The token that there is, if it has not ended; otherwise why there is no other.
    fn until_later(
        &self,
        wanted: &Wanted,
        connection: &Connection,
        error: OAuthError,
    ) -> Result<Arc<AccessToken>, NoToken> {
        let server = &*wanted.holding.server;
        tracing::warn!(
            server,
            error = chain(&error),
            "a token cannot be refreshed now"
        );
        let left = connection
            .expires_at
            .is_none_or(|end| end > connection.read_at);
        if left && !wanted.are_refused(connection) {
            return self.usable(wanted, connection);
        }
        Err(error.into())
    }

    async fn ended(&self, wanted: &Wanted, connection: &Connection) -> NoToken {
        match self
            .require_reconnect(wanted, connection, connection.lease_epoch)
            .await
        {
            Ok(()) => wanted.reconnect(),
            Err(error) => error.into(),
        }
    }

    async fn require_reconnect(
        &self,
        wanted: &Wanted,
        connection: &Connection,
        epoch: i64,
    ) -> Result<(), OAuthError> {
        let (tenant, id) = (wanted.holding.tenant, connection.id);
        let changed = self
            .store()
            .require_reconnect(tenant, id, connection.version, epoch);
        if changed.await? {
            let server = &*wanted.holding.server;
            tracing::warn!(server, connection = %id, "an account must be connected again");
            self.parts().metrics.oauth("refresh", "reconnect_required");
        }
        Ok(())
    }

    /// Takes the lease and refreshes, if nobody else does.
    async fn refresh(
        &self,
        wanted: &Wanted,
        connection: &Connection,
        again: bool,
    ) -> Result<Tried, NoToken> {
        // Whatever else takes time is done before the lease.
        let (resolved, tokens) = match self.prepared(wanted, connection).await {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Tried::Later(error)),
        };
        if resolved.metadata.issuer != connection.issuer {
            return Err(wanted.not_connected());
        }
        let Some(refresh_token) = &tokens.refresh else {
            return Ok(Tried::Reconnect);
        };
        let tenant = wanted.holding.tenant;
        let lease = self
            .store()
            .lease_refresh(tenant, connection.id, connection.version, again)
            .await
            .map_err(OAuthError::from)?;
        let Some(lease) = lease else {
            sleep(LOOK.mul_f64(fraction())).await;
            return Ok(Tried::Again);
        };
        if !self
            .store()
            .note_sent(tenant, lease)
            .await
            .map_err(OAuthError::from)?
        {
            return Ok(Tried::Again);
        }
        let answer = self.ask(wanted, &resolved, &tokens, refresh_token).await;
        let outcome = answer.as_ref().err().map_or("success", OAuthError::code);
        self.parts().metrics.oauth("refresh", outcome);
        match answer {
            Ok(set) => {
                let client = resolved.client.unwrap_or(tokens.client);
                let before = Some(refresh_token.clone());
                let fresh = Tokens::of(&set, before, client, &resolved.metadata);
                self.keep_refreshed(wanted, connection, lease, &fresh, set)
                    .await?;
                Ok(Tried::Again)
            }
            Err(error) => {
                let rotation = resolved.profile.rotation;
                Ok(self
                    .not_refreshed(wanted, connection, lease, rotation, error)
                    .await?)
            }
        }
    }

    async fn prepared(
        &self,
        wanted: &Wanted,
        connection: &Connection,
    ) -> Result<(Resolved, Tokens), OAuthError> {
        let config = configured(&wanted.tenant, &wanted.holding.server)?;
        let resolved = self.resolve(&wanted.tenant, config).await?;
        Ok((resolved, self.opened(wanted.holding.tenant, connection)?))
    }

    async fn ask(
        &self,
        wanted: &Wanted,
        resolved: &Resolved,
        tokens: &Tokens,
        refresh_token: &SecretString,
    ) -> Result<TokenSet, OAuthError> {
        let mut form = Form::new()
            .with("grant_type", "refresh_token")
            .with_secret("refresh_token", refresh_token);
        if let Some((name, value)) = resolved.resource_parameter() {
            form = form.with(name, value);
        }
        let metadata = &resolved.metadata;
        token_endpoint::tokens(
            form,
            &wanted.tenant.http,
            &metadata.token_endpoint,
            resolved.client.as_ref().unwrap_or(&tokens.client),
            metadata.secret_in_body,
            &resolved.profile,
        )
        .await
    }

    /// Writes the new tokens, trying as long as the database may come back: there are no others.
    async fn keep_refreshed(
        &self,
        wanted: &Wanted,
        connection: &Connection,
        lease: RefreshLease,
        tokens: &Tokens,
        set: TokenSet,
    ) -> Result<(), OAuthError> {
        let tenant = wanted.holding.tenant;
        let sealed = self.sealed(tenant, lease.id, tokens, set.expires_in)?;
        let scopes = set.scopes.as_deref();
        let keep = || self.store().finish_refresh(tenant, lease, &sealed, scopes);
        let pauses = ExponentialBuilder::default()
            .with_min_delay(LOOK)
            .with_max_times(8);
        let kept = keep.retry(pauses).when(StoreError::is_transient).await?;
        if !kept {
            // The connection was ended, or made anew, meanwhile: nobody will use these.
            self.revoke_unused(wanted, connection, tokens, &set, scopes)
                .await?;
        }
        Ok(())
    }

    async fn revoke_unused(
        &self,
        wanted: &Wanted,
        connection: &Connection,
        tokens: &Tokens,
        set: &TokenSet,
        scopes: Option<&[String]>,
    ) -> Result<(), OAuthError> {
        let tenant = wanted.holding.tenant;
        let id = Uuid::now_v7();
        let sealed: SealedTokens = self.sealed(tenant, id, tokens, set.expires_in)?;
        let unused = NewConnection {
            id,
            server: connection.server.clone(),
            holder: connection.holder.clone(),
            connected_by: connection.connected_by.clone(),
            issuer: connection.issuer.clone(),
            binding: connection.binding,
            scopes: scopes.unwrap_or(&connection.scopes).to_vec(),
            tokens: sealed,
        };
        self.store().revoke_unused(tenant, &unused).await?;
        self.0.revocations.notify_one();
        Ok(())
    }

    /// What the failure of a refresh leaves.
    async fn not_refreshed(
        &self,
        wanted: &Wanted,
        connection: &Connection,
        lease: RefreshLease,
        rotation: Rotation,
        error: OAuthError,
    ) -> Result<Tried, OAuthError> {
        let is_unknown = matches!(
            error,
            OAuthError::Unknown(_) | OAuthError::Token(TokenError::Unusable(_))
        );
        let is_over = matches!(error, OAuthError::Token(TokenError::Grant(_)))
            || (is_unknown && rotation == Rotation::Possible);
        if is_over {
            self.require_reconnect(wanted, connection, lease.epoch)
                .await?;
            return Ok(Tried::Reconnect);
        }
        self.store()
            .give_up_refresh(wanted.holding.tenant, lease)
            .await?;
        Ok(Tried::Later(error))
    }
}

/// A number between 0 and 1 that differs from replica to replica and time to time.
fn fraction() -> f64 {
    let random = Uuid::new_v4().as_u128() as u16;
    f64::from(random) / f64::from(u16::MAX)
}
