//! The header fields that authenticate the gateway to one upstream.

use std::sync::Arc;

use agentapi_crds::tenant_config::CredentialHeader;
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;

use super::error::UpstreamError;
use super::secrets::{SecretError, Secrets};
use super::tokens::{AccessToken, NoToken, Principal, UpstreamTokens};

/// Credentials of one server. They are read once: a Secret that changes is
/// another revision of the document, and with it another server.
pub(super) struct Credentials {
    fields: Vec<(HeaderName, CredentialHeader)>,
    secrets: Arc<dyn Secrets>,
    values: OnceCell<HeaderMap>,
    /// Where the server takes a token of an authorization server.
    token: Option<TokenSource>,
}

/// Gives the tokens of one server.
struct TokenSource {
    tokens: Arc<dyn UpstreamTokens>,
    server: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.fields.iter().map(|(name, _)| name);
        formatter.debug_set().entries(names).finish()
    }
}

impl Credentials {
    /// Credentials that will be read from `secrets`; fails with the field name that is none.
    pub(super) fn new(
        fields: &[CredentialHeader],
        secrets: Arc<dyn Secrets>,
    ) -> Result<Self, String> {
        let named = |field: &CredentialHeader| {
            let name = HeaderName::from_bytes(field.header.as_bytes());
            name.map(|name| (name, field.clone()))
                .map_err(|_| field.header.clone())
        };
        Ok(Self {
            fields: fields.iter().map(named).collect::<Result<_, _>>()?,
            secrets,
            values: OnceCell::new(),
            token: None,
        })
    }

    /// The same with a token of an authorization server, for the server of that name.
    pub(super) fn with_tokens(self, tokens: Arc<dyn UpstreamTokens>, server: &str) -> Self {
        let token = Some(TokenSource {
            tokens,
            server: server.to_owned(),
        });
        Self { token, ..self }
    }

    /// Whether a refused request may be tried with another token.
    pub(super) fn has_tokens(&self) -> bool {
        self.token.is_some()
    }

    /// The token to send for somebody, where the server takes one; another one than `refused`.
    pub(super) async fn token(
        &self,
        principal: Option<&Principal>,
        refused: Option<&AccessToken>,
    ) -> Result<Option<Arc<AccessToken>>, UpstreamError> {
        let Some(source) = &self.token else {
            return Ok(None);
        };
        let principal = principal.ok_or(NoToken::NoUser)?;
        let token = source.tokens.token(principal, &source.server, refused);
        Ok(Some(token.await?))
    }

    /// The fields with their values, marked so that they are not shown by debug output.
    pub(super) async fn headers(&self) -> Result<&HeaderMap, UpstreamError> {
        self.values.get_or_try_init(|| self.read()).await
    }

    async fn read(&self) -> Result<HeaderMap, UpstreamError> {
        let mut headers = HeaderMap::new();
        for (name, field) in &self.fields {
            let secret = self.secrets.read(&field.secret).await?;
            // A file made with an editor ends with a line feed, which no header field can carry.
            let text = format!("{}{}", field.prefix, secret.expose_secret().trim_end());
            let mut value = HeaderValue::from_str(&text).map_err(|_| SecretError::NotAHeader {
                namespace: field.secret.namespace.clone(),
                name: field.secret.name.clone(),
                key: field.secret.key.clone(),
            })?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }
}
