//! Who sits before a browser, by the organization's own issuer (OpenID Connect
//! Core 1.0, section 3.1), as a public client with PKCE.

use std::sync::Arc;

use secrecy::ExposeSecret;
use url::Url;

use super::authorization_server::Client;
use super::token_endpoint::{self, Form};
use super::{OAuth, OAuthError};
use crate::auth::{Issuer, Login};
use crate::domain::oauth::{Metadata, Profile, Redirected, Ticket, Verifier};
use crate::tenants::Tenant;

/// Path of the one redirect URI of logins.
pub const LOGIN: &str = "/v1/oauth/login";

/// What a browser keeps of its own while it is at the issuer.
#[derive(Clone, Debug)]
pub struct LoginTicket(pub Ticket);

impl LoginTicket {
    fn state(&self) -> String {
        self.0.derive_text("login state", &[])
    }

    fn nonce(&self) -> String {
        self.0.derive_text("login nonce", &[])
    }

    fn verifier(&self) -> Verifier {
        Verifier::of_bytes(self.0.derive("login pkce", &[]))
    }
}

/// The issuer of an organization at which people log in: the first that has a client for it.
pub fn login_issuer(tenant: &Tenant) -> Option<(&Arc<Issuer>, &str)> {
    tenant.issuers.iter().find_map(|issuer| {
        let login = issuer.config.login.as_ref()?;
        Some((issuer, login.client_id.as_str()))
    })
}

impl OAuth {
    /// Where a browser logs in.
    ///
    /// # Errors
    /// See [`OAuthError`].
    pub async fn login_url(
        &self,
        tenant: &Tenant,
        ticket: &LoginTicket,
        public_url: &str,
    ) -> Result<Url, OAuthError> {
        let (issuer, client_id) = login_issuer(tenant).ok_or(OAuthError::NoLogin)?;
        let metadata = self.issuer(tenant, &issuer.config.issuer).await?;
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", &format!("{public_url}{LOGIN}"))
            .append_pair("scope", "openid")
            .append_pair("state", &ticket.state())
            .append_pair("nonce", &ticket.nonce())
            .append_pair("code_challenge", &ticket.verifier().challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Who the browser's redirect from the issuer stands for.
    ///
    /// # Errors
    /// See [`OAuthError`].
    pub async fn logged_in(
        &self,
        tenant: &Tenant,
        ticket: &LoginTicket,
        redirected: &Redirected,
        public_url: &str,
    ) -> Result<Login, OAuthError> {
        let (issuer, client_id) = login_issuer(tenant).ok_or(OAuthError::NoLogin)?;
        if redirected.state()? != ticket.state() {
            return Err(OAuthError::State);
        }
        let metadata = self.issuer(tenant, &issuer.config.issuer).await?;
        let code = redirected.code_of(&metadata)?;
        let form = Form::new()
            .with("grant_type", "authorization_code")
            .with_secret("code", code)
            .with("redirect_uri", &format!("{public_url}{LOGIN}"))
            .with_secret("code_verifier", ticket.verifier().secret());
        let id_token = self.id_token(tenant, &metadata, client_id, form).await?;
        let nonce = ticket.nonce();
        let login = issuer.verify_login(id_token.expose_secret(), client_id, &nonce);
        Ok(login.await?)
    }

    async fn id_token(
        &self,
        tenant: &Tenant,
        metadata: &Metadata,
        client_id: &str,
        form: Form,
    ) -> Result<secrecy::SecretString, OAuthError> {
        let client = Client {
            id: client_id.to_owned(),
            secret: None,
        };
        let profile = Profile::plain();
        let endpoint = &metadata.token_endpoint;
        let tokens =
            token_endpoint::tokens(form, &tenant.http, endpoint, &client, true, &profile).await?;
        tokens.id_token.ok_or(OAuthError::NoIdToken)
    }
}
