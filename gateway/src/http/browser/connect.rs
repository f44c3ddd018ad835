//! From a connect link to the authorization server. The link holds no secret and
//! gives no right: whoever opens it logs in, and goes on only if they are who was asked.

use std::sync::Arc;

use agentapi_crds::tenant_config::{AuthorizationServer, CredentialScope, ServerConfig};
use axum::Form as FormBody;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::login::{self, page_with, read_form};
use super::page::{Form, Page};
use super::session::{MaybeVisitor, Visitor};
use super::{AppState, ErrorCode, Problem};
use crate::domain::audit::{Action, Outcome};
use crate::http::authenticate::Origin;
use crate::http::page::Parameters;
use crate::http::problem::ProblemDocument;
use crate::oauth::{OAuthError, user_digest};
use crate::upstream::Server;

/// What a connect link names.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Link {
    organization: String,
    server: String,
    /// Tells the user who was asked from others.
    r#for: String,
}

/// Asks whether to connect an account at a server
#[utoipa::path(
    get, path = "/v1/oauth/connect", tag = "browser", params(Link),
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html"),
        (status = 303, description = "To log in"),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(in crate::http) async fn ask(
    State(state): State<AppState>,
    MaybeVisitor(visitor): MaybeVisitor,
    origin: Origin,
    Parameters(link): Parameters<Link>,
) -> Result<Response, Problem> {
    let known = visitor.filter(|visitor| visitor.tenant.config.organization == link.organization);
    let Some(visitor) = known else {
        let tenant = state.tenants.get(&link.organization);
        let tenant = tenant.ok_or_else(Problem::not_found)?;
        return login::start(&state, &tenant, &link.path()).await;
    };
    let server = link.check(&state, &visitor, &origin).await?;
    Ok(link.page(&visitor, &server).into_response())
}

/// The user's word that the account is to be connected.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct ConnectForm {
    csrf: String,
    organization: String,
    server: String,
    r#for: String,
}

/// Goes to the authorization server
#[utoipa::path(
    post, path = "/v1/oauth/connect", tag = "browser",
    request_body(content = ConnectForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To the authorization server"),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(in crate::http) async fn go(
    State(state): State<AppState>,
    visitor: Visitor,
    origin: Origin,
    form: Result<FormBody<ConnectForm>, FormRejection>,
) -> Result<Response, Problem> {
    let form = read_form(form)?;
    visitor.check_csrf(&form.csrf)?;
    visitor.within_rate(&state).await?;
    let link = Link {
        organization: form.organization,
        server: form.server,
        r#for: form.r#for,
    };
    if visitor.tenant.config.organization != link.organization {
        return Err(Problem::not_found());
    }
    link.check(&state, &visitor, &origin).await?;
    let url = state
        .oauth
        .begin(
            &visitor.tenant,
            &link.server,
            &visitor.browser,
            &state.public_url,
        )
        .await?;
    Ok(Redirect::to(url.as_str()).into_response())
}

impl Link {
    fn path(&self) -> String {
        let query = [
            ("organization", &*self.organization),
            ("server", &self.server),
            ("for", &self.r#for),
        ];
        page_with("/v1/oauth/connect", &query)
    }

    /// The server, if this user was asked to connect an account there, and may.
    async fn check(
        &self,
        state: &AppState,
        visitor: &Visitor,
        origin: &Origin,
    ) -> Result<Arc<Server>, Problem> {
        let (tenant, browser) = (&visitor.tenant, &visitor.browser);
        if self.r#for != user_digest(tenant.id, &browser.user) {
            let detail = "the link was made for somebody else, and connects nothing for you: ask for one of your own";
            return Err(self.denied(state, visitor, origin, detail).await);
        }
        let server = tenant.servers.get(&self.server).cloned();
        let server = server.ok_or_else(Problem::not_found)?;
        if server.config.oauth.is_none() {
            return Err(OAuthError::NotOAuth.into());
        }
        let is_shared = server.config.credential_scope == CredentialScope::Organization;
        if is_shared && !browser.administers {
            let detail = "everybody of the organization would use this account: an administrator must connect it";
            return Err(self.denied(state, visitor, origin, detail).await);
        }
        Ok(server)
    }

    async fn denied(
        &self,
        state: &AppState,
        visitor: &Visitor,
        origin: &Origin,
        detail: &str,
    ) -> Problem {
        let problem = Problem::new(ErrorCode::Forbidden, detail);
        let context = origin.context(&visitor.tenant, &visitor.browser.user, None);
        let recorded = state.recorder.record(
            visitor.tenant.id,
            &context.0,
            Action::AccessDenied,
            format!(
                "oauth/{}",
                self.server.chars().take(128).collect::<String>()
            ),
            Outcome::Denied,
            Some(problem.code().name()),
        );
        match recorded.await {
            Ok(()) => problem,
            Err(error) => error.into(),
        }
    }

    fn page(&self, visitor: &Visitor, server: &Server) -> Page {
        let (organization, user) = (&visitor.tenant.config.display_name, &visitor.browser.user);
        let whose = match server.config.credential_scope {
            CredentialScope::User => {
                "Calls of this server that you make will use it; nobody else's will."
            }
            CredentialScope::Organization => "Everybody of the organization will use it.",
        };
        Page {
            title: format!("Connect an account for {}", server.name()),
            text: vec![
                format!("You are {user} of {organization}."),
                format!(
                    "You go on to {} and consent there. {whose}",
                    provider(&server.config)
                ),
                "Do so only if you want this yourself: not because somebody sent you here."
                    .to_owned(),
            ],
            form: Some(Form {
                action: "/v1/oauth/connect",
                button: "Connect",
                hidden: vec![
                    ("csrf", visitor.csrf()),
                    ("organization", self.organization.clone()),
                    ("server", self.server.clone()),
                    ("for", self.r#for.clone()),
                ],
                asks_token: false,
            }),
            ..Page::default()
        }
    }
}

/// The authorization server, as people know it.
fn provider(config: &ServerConfig) -> String {
    let server = config
        .oauth
        .as_ref()
        .map(|oauth| &oauth.authorization_server);
    match server {
        Some(AuthorizationServer::GitHub) => "GitHub".to_owned(),
        Some(AuthorizationServer::Google) => "Google".to_owned(),
        Some(AuthorizationServer::Azure { .. }) => "Microsoft".to_owned(),
        Some(AuthorizationServer::Auth0 { domain }) => domain.clone(),
        Some(AuthorizationServer::Oidc { issuer })
        | Some(AuthorizationServer::Mcp {
            issuer: Some(issuer),
        }) => issuer.clone(),
        Some(AuthorizationServer::Mcp { issuer: None }) | None => {
            "the authorization server that it names".to_owned()
        }
    }
}
