//! What is kept of a connection, before it is sealed: all that using, refreshing
//! and revoking it takes, so that it can be revoked when its organization is gone.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::authorization_server::Client;
use super::{OAuth, OAuthError};
use crate::domain::oauth::{Metadata, Revocation, TokenSet};
use crate::store::{Connection, SealedTokens, TenantId};

/// Tokens, and how they are revoked.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) access: SecretString,
    pub(super) refresh: Option<SecretString>,
    pub(super) client: Client,
    pub(super) revocation: Revocation,
    pub(super) secret_in_body: bool,
}

fn exposed(secret: &Option<SecretString>) -> Option<&str> {
    secret.as_ref().map(ExposeSecret::expose_secret)
}

/// The same as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    access: &'a str,
    refresh: Option<&'a str>,
    client_id: &'a str,
    client_secret: Option<&'a str>,
    secret_in_body: bool,
    revocation: RevocationText,
}

/// The same as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    access: SecretString,
    refresh: Option<SecretString>,
    client_id: String,
    client_secret: Option<SecretString>,
    secret_in_body: bool,
    revocation: RevocationText,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum RevocationText {
    Standard(Url),
    GitHub,
    None,
}

impl Tokens {
    /// Tokens as they were given; the refresh token that was there before counts where no new one came.
    pub(super) fn of(
        set: &TokenSet,
        before: Option<SecretString>,
        client: Client,
        server: &Metadata,
    ) -> Self {
        Self {
            access: set.access_token.clone(),
            refresh: set.refresh_token.clone().or(before),
            client,
            revocation: server.revocation.clone(),
            secret_in_body: server.secret_in_body,
        }
    }

    fn text(&self) -> Result<SecretString, serde_json::Error> {
        let text = Written {
            access: self.access.expose_secret(),
            refresh: exposed(&self.refresh),
            client_id: &self.client.id,
            client_secret: exposed(&self.client.secret),
            secret_in_body: self.secret_in_body,
            revocation: match &self.revocation {
                Revocation::Standard(url) => RevocationText::Standard(url.clone()),
                Revocation::GitHub => RevocationText::GitHub,
                Revocation::None => RevocationText::None,
            },
        };
        serde_json::to_string(&text).map(SecretString::from)
    }

    fn read(text: &SecretString) -> Result<Self, serde_json::Error> {
        let text: Read = serde_json::from_str(text.expose_secret())?;
        Ok(Self {
            access: text.access,
            refresh: text.refresh,
            client: Client {
                id: text.client_id,
                secret: text.client_secret,
            },
            secret_in_body: text.secret_in_body,
            revocation: match text.revocation {
                RevocationText::Standard(url) => Revocation::Standard(url),
                RevocationText::GitHub => Revocation::GitHub,
                RevocationText::None => Revocation::None,
            },
        })
    }
}

impl OAuth {
    /// Seals tokens for a row.
    pub(super) fn sealed(
        &self,
        tenant: TenantId,
        row: Uuid,
        tokens: &Tokens,
        lifetime_seconds: Option<u64>,
    ) -> Result<SealedTokens, OAuthError> {
        Ok(SealedTokens {
            tokens: self.seal(tenant, row, &tokens.text()?)?,
            lifetime_seconds,
            refreshable: tokens.refresh.is_some(),
        })
    }

    /// Opens the tokens of a connection.
    pub(super) fn opened(
        &self,
        tenant: TenantId,
        connection: &Connection,
    ) -> Result<Tokens, OAuthError> {
        let text = self.open(tenant, connection.id, &connection.tokens)?;
        Ok(Tokens::read(&text)?)
    }
}
