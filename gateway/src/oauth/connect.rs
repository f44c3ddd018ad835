//! To an authorization server and back, in one browser.
//!
//! What comes back is believed where everything fits that the browser was sent away
//! with: a state that is used once, the browser that had it, the server that was
//! asked, and the settings that it was asked for. The PKCE verifier is kept nowhere: it is
//! made of the browser's own secret and of the state's, so that a code is worth
//! nothing without both.

use std::sync::Arc;

use agentapi_crds::tenant_config::{CredentialScope, ServerConfig};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded::Serializer;

use super::authorization_server::{Resolved, binding};
use super::token_endpoint::{self, Form};
use super::tokens::Tokens;
use super::{Holding, OAuth, OAuthError, new_ticket};
use crate::domain::oauth::{
    AuthorizationRequest, RedirectError, Redirected, Ticket, TokenSet, Verifier,
};
use crate::store::{NewConnection, PendingAuthorization, TenantId};
use crate::tenants::Tenant;

/// Path of the one redirect URI.
pub const CALLBACK: &str = "/v1/oauth/callback";
/// Path of the page where an account is connected.
const CONNECT: &str = "/v1/oauth/connect";
/// How long a user may take at the authorization server.
const LIFETIME_SECONDS: u32 = 10 * 60;
/// What the verifier is derived for.
const PKCE: &str = "pkce";

/// A browser that is logged in.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Its cookie.
    pub ticket: Ticket,
    /// The user.
    pub user: Arc<str>,
    /// Whether the user may connect the organization's own accounts.
    pub administers: bool,
}

/// What was connected.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Name of the `McpServer`.
    pub server: String,
    /// The authorization server that gave the tokens.
    pub issuer: String,
}

/// Path and query of the page where an account is connected. It holds no secret: whoever
/// opens it logs in, and connects nothing unless they are who was asked.
pub fn connect_path(organization: &str, server: &str, tenant: TenantId, user: &str) -> String {
    let query = Serializer::new(String::new())
        .append_pair("organization", organization)
        .append_pair("server", server)
        .append_pair("for", &user_digest(tenant, user))
        .finish();
    format!("{CONNECT}?{query}")
}

/// What tells a user from others in a link, without naming them.
pub fn user_digest(tenant: TenantId, user: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(tenant.0.as_bytes());
    hash.update(user);
    hex::encode(&hash.finalize()[..16])
}

/// Whose the connection with a server is, if this user makes it.
pub(super) fn holder_of(config: &ServerConfig, user: Option<&Arc<str>>) -> Option<Arc<str>> {
    match config.credential_scope {
        CredentialScope::User => user.cloned(),
        CredentialScope::Organization => None,
    }
}

impl OAuth {
    /// Sends a browser to the authorization server of an MCP server.
    ///
    /// # Errors
    /// See [`OAuthError`].
    pub async fn begin(
        &self,
        tenant: &Tenant,
        server: &str,
        browser: &Browser,
        public_url: &str,
    ) -> Result<Url, OAuthError> {
        self.keys()?;
        let config = configured(tenant, server)?;
        let oauth = config.oauth.as_ref().ok_or(OAuthError::NotOAuth)?;
        let resolved = self.resolve(tenant, config).await?;
        let client = resolved.client(public_url)?;
        let state = new_ticket(tenant.id)?;
        let request = AuthorizationRequest {
            client_id: &client.id,
            redirect_uri: &format!("{public_url}{CALLBACK}"),
            scopes: &resolved.scopes,
            resource: &resolved.resource,
            resource_is_stated: resolved.resource_is_stated,
            state: &state.text(),
            verifier: &verifier(&browser.ticket, &state),
        };
        let url = request.url(&resolved.metadata, &resolved.profile)?;
        let pending = PendingAuthorization {
            id: state.id,
            browser_session: browser.ticket.id,
            server: server.to_owned(),
            holder: holder_of(config, Some(&browser.user)).map(|user| user.to_string()),
            secret_hash: state.hash(),
            issuer: resolved.metadata.issuer.clone(),
            binding: binding(config, oauth),
            lifetime_seconds: LIFETIME_SECONDS,
        };
        self.store()
            .begin_authorization(tenant.id, &pending)
            .await?;
        Ok(url)
    }

    /// What a state that came back stands for, if it was this browser's. It is used up by asking.
    ///
    /// # Errors
    /// See [`OAuthError`].
    pub async fn returned(
        &self,
        tenant: &Tenant,
        browser: &Browser,
        redirected: &Redirected,
    ) -> Result<Returned, OAuthError> {
        let state = redirected.state().ok().and_then(Ticket::read);
        let state = state.filter(|state| state.tenant == tenant.id.0);
        let state = state.ok_or(RedirectError::NoState)?;
        let pending = self.store().take_authorization(tenant.id, state.id);
        let pending = pending.await?.ok_or(OAuthError::State)?;
        if !state.fits(&pending.secret_hash) || pending.browser_session != browser.ticket.id {
            return Err(OAuthError::State);
        }
        Ok(Returned { state, pending })
    }

    /// Exchanges the code that a browser brought back, and keeps the tokens.
    ///
    /// # Errors
    /// See [`OAuthError`].
    pub async fn complete(
        &self,
        tenant: &Tenant,
        browser: &Browser,
        returned: Returned,
        redirected: &Redirected,
        public_url: &str,
    ) -> Result<Connected, OAuthError> {
        let Returned { state, pending } = returned;
        let config = configured(tenant, &pending.server)?;
        let oauth = config.oauth.as_ref().ok_or(OAuthError::Changed)?;
        let holder = holder_of(config, Some(&browser.user));
        if binding(config, oauth) != pending.binding
            || holder.as_deref() != pending.holder.as_deref()
        {
            return Err(OAuthError::Changed);
        }
        let resolved = self.resolve(tenant, config).await?;
        if resolved.metadata.issuer != pending.issuer {
            return Err(OAuthError::Changed);
        }
        let code = redirected.code_of(&resolved.metadata)?;
        let tokens = self
            .exchange(
                tenant,
                &resolved,
                code,
                &verifier(&browser.ticket, &state),
                public_url,
            )
            .await;
        let outcome = tokens.as_ref().err().map_or("success", OAuthError::code);
        self.parts().metrics.oauth("connect", outcome);
        self.keep(tenant, browser, pending, &resolved, tokens?, public_url)
            .await
    }

    async fn exchange(
        &self,
        tenant: &Tenant,
        resolved: &Resolved,
        code: &SecretString,
        verifier: &Verifier,
        public_url: &str,
    ) -> Result<TokenSet, OAuthError> {
        let client = resolved.client(public_url)?;
        let metadata = &resolved.metadata;
        let mut form = Form::new()
            .with("grant_type", "authorization_code")
            .with_secret("code", code)
            .with("redirect_uri", &format!("{public_url}{CALLBACK}"))
            .with_secret("code_verifier", verifier.secret());
        if let Some((name, value)) = resolved.resource_parameter() {
            form = form.with(name, value);
        }
        token_endpoint::tokens(
            form,
            &tenant.http,
            &metadata.token_endpoint,
            &client,
            metadata.secret_in_body,
            &resolved.profile,
        )
        .await
    }

    async fn keep(
        &self,
        tenant: &Tenant,
        browser: &Browser,
        pending: PendingAuthorization,
        resolved: &Resolved,
        set: TokenSet,
        public_url: &str,
    ) -> Result<Connected, OAuthError> {
        let before = match set.refresh_token {
            Some(_) => None,
            None => self.earlier_refresh_token(tenant.id, &pending).await?,
        };
        let id = uuid::Uuid::now_v7();
        let tokens = Tokens::of(
            &set,
            before,
            resolved.client(public_url)?,
            &resolved.metadata,
        );
        let holding = Holding {
            tenant: tenant.id,
            server: pending.server.as_str().into(),
            holder: pending.holder.as_deref().map(Arc::from),
        };
        let new = NewConnection {
            id,
            server: pending.server,
            holder: pending.holder,
            connected_by: browser.user.to_string(),
            issuer: pending.issuer,
            binding: pending.binding,
            scopes: set.scopes.unwrap_or_else(|| resolved.scopes.clone()),
            tokens: self.sealed(tenant.id, id, &tokens, set.expires_in)?,
        };
        self.store().connect(tenant.id, &new).await?;
        self.forget(&holding).await;
        Ok(Connected {
            server: new.server,
            issuer: new.issuer,
        })
    }

    /// Google gives a refresh token with the first consent only: it counts on.
    async fn earlier_refresh_token(
        &self,
        tenant: TenantId,
        pending: &PendingAuthorization,
    ) -> Result<Option<SecretString>, OAuthError> {
        let holder = pending.holder.as_deref();
        let earlier = self.store().connection(tenant, &pending.server, holder);
        let earlier = earlier.await?.filter(|earlier| {
            earlier.issuer == pending.issuer && earlier.binding == pending.binding
        });
        match earlier {
            // One that may have been replaced, or was refused, is worth nothing.
            Some(earlier) if earlier.refreshable && !earlier.sent => {
                Ok(self.opened(tenant, &earlier)?.refresh)
            }
            _ => Ok(None),
        }
    }
}

/// A way to an authorization server, of which a browser came back.
#[derive(Debug)]
pub struct Returned {
    state: Ticket,
    pending: PendingAuthorization,
}

impl Returned {
    /// Name of the `McpServer`.
    pub fn server(&self) -> &str {
        &self.pending.server
    }
}

/// What only this browser, with this state, can prove.
fn verifier(browser: &Ticket, state: &Ticket) -> Verifier {
    Verifier::of_bytes(browser.derive(PKCE, &state.hash()))
}

pub(super) fn configured<'a>(
    tenant: &'a Tenant,
    server: &str,
) -> Result<&'a ServerConfig, OAuthError> {
    let server = tenant.servers.get(server).ok_or(OAuthError::NoServer)?;
    Ok(&server.config)
}
