//! Who sits before the browser: by the organization's issuer or, where that has no
//! client for it, by a token that the API would take as well.

use std::sync::Arc;

use axum::Form as FormBody;
use axum::extract::{RawQuery, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::SET_COOKIE;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::page::{Form, Page};
use super::session::{self, cookie, log_in, same, within_rate};
use super::{AppState, ErrorCode, Problem};
use crate::domain::access::{Right, Rights};
use crate::domain::oauth::{Redirected, Ticket};
use crate::http::authenticate::Origin;
use crate::http::problem::ProblemDocument;
use crate::oauth::{LOGIN, LoginTicket, OAuthError, login_issuer, new_ticket};
use crate::store::TenantId;
use crate::tenants::Tenant;

/// How long a login may take.
const LIFETIME_SECONDS: u32 = 10 * 60;
/// Purpose of the secret in the form that asks for a token.
const CSRF: &str = "login csrf";
/// Pages that a login may lead back to.
const RETURN: [&str; 2] = ["/v1/oauth/connect?", "/v1/oauth/connections?"];

/// Has the browser log in at an organization, and come back to a page.
pub(super) async fn start(
    state: &AppState,
    tenant: &Tenant,
    back: &str,
) -> Result<Response, Problem> {
    let ticket = LoginTicket(new_ticket(tenant.id)?);
    let kept = format!("{}.{}", *ticket.0.text(), URL_SAFE_NO_PAD.encode(back));
    let cookie = session::set(session::LOGIN, &kept, LIFETIME_SECONDS)?;
    let answer = if login_issuer(tenant).is_some() {
        let url = state.oauth.login_url(tenant, &ticket, &state.public_url);
        Redirect::to(url.await?.as_str()).into_response()
    } else {
        ask_for_token(tenant, &ticket).into_response()
    };
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), answer).into_response())
}

fn ask_for_token(tenant: &Tenant, ticket: &LoginTicket) -> Page {
    Page {
        title: "Log in".to_owned(),
        text: vec![
            format!("Organization {}", tenant.config.display_name),
            "Its identity provider has no login for browsers here. Show who you are by a token of yours, as you would send it to the API. Never use a token that somebody gave you.".to_owned(),
        ],
        form: Some(Form {
            action: LOGIN,
            button: "Log in",
            hidden: vec![("csrf", ticket.0.derive_text(CSRF, &[]))],
            asks_token: true,
        }),
        ..Page::default()
    }
}

/// What the browser kept while it was away.
struct Kept {
    tenant: Arc<Tenant>,
    ticket: LoginTicket,
    back: String,
}

impl Kept {
    fn read(state: &AppState, headers: &HeaderMap) -> Result<Self, Problem> {
        let read = || {
            let (ticket, back) = cookie(headers, session::LOGIN)?.split_once('.')?;
            let ticket = Ticket::read(ticket)?;
            let back = String::from_utf8(URL_SAFE_NO_PAD.decode(back).ok()?).ok()?;
            let tenant = state.tenants.by_id(TenantId(ticket.tenant))?;
            Some(Self {
                tenant,
                ticket: LoginTicket(ticket),
                back,
            })
        };
        let kept = read().filter(|kept| RETURN.iter().any(|page| kept.back.starts_with(page)));
        kept.ok_or_else(|| OAuthError::State.into())
    }

    /// Logs the browser in and leads it back.
    async fn finish(
        self,
        state: &AppState,
        user: &str,
        administers: bool,
    ) -> Result<Response, Problem> {
        if self.tenant.config.suspended {
            let detail = "the organization is suspended";
            return Err(Problem::new(ErrorCode::OrganizationSuspended, detail));
        }
        let cookies = [
            (
                SET_COOKIE,
                log_in(state, &self.tenant, user, administers).await?,
            ),
            (SET_COOKIE, session::set(session::LOGIN, "", 0)?),
        ];
        Ok((AppendHeaders(cookies), Redirect::to(&self.back)).into_response())
    }
}

/// Comes back from the organization's issuer
#[utoipa::path(
    get, path = "/v1/oauth/login", tag = "browser",
    responses(
        (status = 303, description = "Logged in: back to the page that asked for it"),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(in crate::http) async fn finish(
    State(state): State<AppState>,
    origin: Origin,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let kept = Kept::read(&state, &headers)?;
    within_rate(&state, &kept.tenant, &origin.stranger()).await?;
    let redirected = Redirected::read(&query.unwrap_or_default()).map_err(OAuthError::from)?;
    let login = state
        .oauth
        .logged_in(&kept.tenant, &kept.ticket, &redirected, &state.public_url)
        .await?;
    let administers = Rights::of_roles(&login.roles).contain(Right::ConnectionsAdminister);
    kept.finish(&state, &login.user, administers).await
}

/// A token that says who the browser's user is.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct TokenForm {
    csrf: String,
    #[schema(value_type = String)]
    token: SecretString,
}

/// Logs in with a token, where the organization's issuers have no login for browsers
#[utoipa::path(
    post, path = "/v1/oauth/login", tag = "browser",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "Logged in: back to the page that asked for it"),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(in crate::http) async fn with_token(
    State(state): State<AppState>,
    origin: Origin,
    headers: HeaderMap,
    form: Result<FormBody<TokenForm>, axum::extract::rejection::FormRejection>,
) -> Result<Response, Problem> {
    let form = read_form(form)?;
    let kept = Kept::read(&state, &headers)?;
    same(&form.csrf, &kept.ticket.0.derive_text(CSRF, &[]))?;
    within_rate(&state, &kept.tenant, &origin.stranger()).await?;
    if login_issuer(&kept.tenant).is_some() {
        let detail = "log in at the organization's issuer: open the link again";
        return Err(Problem::new(ErrorCode::Forbidden, detail));
    }
    let organization = kept.tenant.config.organization.clone();
    let token = form.token.expose_secret().trim();
    let caller = state.authenticator.authenticate(token, Some(&organization));
    let caller = caller.await.map_err(|error| {
        state.metrics.auth_failure(error.reason());
        Problem::new(ErrorCode::Unauthorized, error.to_string())
    })?;
    if !caller.may(Right::ConnectionsManage) {
        let detail = "the token lacks the right connections:manage";
        return Err(Problem::new(ErrorCode::Forbidden, detail));
    }
    let administers = caller.may(Right::ConnectionsAdminister);
    kept.finish(&state, &caller.user, administers).await
}

/// The fields of a form.
pub(super) fn read_form<T>(
    form: Result<FormBody<T>, axum::extract::rejection::FormRejection>,
) -> Result<T, Problem> {
    let FormBody(form) = form.map_err(|rejection| {
        let code = match rejection.status() {
            http::StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
            http::StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
            _ => ErrorCode::InvalidRequest,
        };
        Problem::new(code, "the form cannot be read")
    })?;
    Ok(form)
}

/// A page of ours with a query.
pub(super) fn page_with(path: &str, query: &[(&str, &str)]) -> String {
    let query = Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{path}?{query}")
}
