//! What is connected, for people: the page, and its buttons.

use axum::Form as FormBody;
use axum::extract::rejection::FormRejection;
use axum::extract::{Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::AUTHORIZATION;
use serde::Deserialize;

use super::login::{self, page_with, read_form};
use super::page::{Page, Row, accepts_html};
use super::session::{MaybeVisitor, Visitor};
use super::{AppState, ErrorCode, Problem};
use crate::domain::audit::Action;
use crate::http::act::finished;
use crate::http::authenticate::Origin;
use crate::http::problem::ProblemDocument;
use crate::store::{Connection, ConnectionState};

const PATH: &str = "/v1/oauth/connections";
const ORGANIZATION: &str = "organization";
const USER: &str = "user";

/// Whose page it is, where the browser is not logged in yet.
#[derive(Debug, Default, Deserialize)]
struct Whose {
    organization: Option<String>,
}

/// Shows the page to a browser; everybody else gets the list of the API.
pub(in crate::http) async fn or_page(
    State(state): State<AppState>,
    MaybeVisitor(visitor): MaybeVisitor,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if headers.contains_key(AUTHORIZATION) || !accepts_html(headers) {
        return next.run(request).await;
    }
    let whose = Query::try_from_uri(request.uri());
    let whose = whose.map(|Query(whose)| whose).unwrap_or_default();
    page(&state, visitor, whose).await.into_response()
}

async fn page(
    state: &AppState,
    visitor: Option<Visitor>,
    whose: Whose,
) -> Result<Response, Problem> {
    let named = whose.organization.as_deref();
    let is_meant =
        |visitor: &Visitor| named.is_none_or(|named| named == visitor.tenant.config.organization);
    let Some(visitor) = visitor.filter(is_meant) else {
        let missing = || {
            let detail = "say of which organization: add ?organization=NAME to the address";
            Problem::new(ErrorCode::InvalidRequest, detail)
        };
        let name = named.ok_or_else(missing)?;
        let tenant = state.tenants.get(name).ok_or_else(Problem::not_found)?;
        let back = page_with(PATH, &[("organization", name)]);
        return login::start(state, &tenant, &back).await;
    };
    let (tenant, user) = (&visitor.tenant, &visitor.browser.user);
    let connections = state.store.connections(tenant.id, user).await?;
    let nothing = connections
        .is_empty()
        .then(|| "Nothing is connected.".to_owned());
    let who = format!("You are {user} of {}.", tenant.config.display_name);
    let rows = connections.into_iter();
    let page = Page {
        title: "Connected accounts".to_owned(),
        text: [Some(who), nothing].into_iter().flatten().collect(),
        connections: rows
            .map(|connection| row(connection, visitor.browser.administers))
            .collect(),
        csrf: visitor.csrf(),
        form: None,
    };
    Ok(page.into_response())
}

fn row(connection: Connection, administers: bool) -> Row {
    let in_use = matches!(
        connection.state,
        ConnectionState::Connected | ConnectionState::Reconnect
    );
    let is_own = connection.holder.is_some();
    Row {
        can_end: in_use && (is_own || administers),
        server: connection.server,
        holder: if is_own { USER } else { ORGANIZATION },
        issuer: connection.issuer,
        scopes: connection.scopes.join(" "),
        state: connection.state.name(),
    }
}

/// Which connection is to end.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct DisconnectForm {
    csrf: String,
    server: String,
    /// `user` or `organization`.
    holder: String,
}

/// Ends a connection by a button of the page
#[utoipa::path(
    post, path = "/v1/oauth/connections", tag = "browser",
    request_body(content = DisconnectForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "Back to the page"),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(in crate::http) async fn end(
    State(state): State<AppState>,
    visitor: Visitor,
    origin: Origin,
    form: Result<FormBody<DisconnectForm>, FormRejection>,
) -> Result<Response, Problem> {
    let form = read_form(form)?;
    visitor.check_csrf(&form.csrf)?;
    visitor.within_rate(&state).await?;
    let (tenant, browser) = (&visitor.tenant, &visitor.browser);
    let holder = match form.holder.as_str() {
        USER => Some(&*browser.user),
        ORGANIZATION if browser.administers => None,
        _ => {
            let detail = "only an administrator ends the organization's connections";
            return Err(Problem::new(ErrorCode::Forbidden, detail));
        }
    };
    let context = origin.context(tenant, &browser.user, None);
    let server: String = form.server.chars().take(128).collect();
    let act = state
        .recorder
        .intent(
            tenant.id,
            &context.0,
            Action::OAuthDisconnect,
            format!("oauth/{server}"),
        )
        .await?;
    let ended = state.oauth.disconnect(tenant.id, &server, holder).await;
    finished(act, ended.map(drop).map_err(Problem::from)).await?;
    let page = page_with(PATH, &[("organization", &tenant.config.organization)]);
    Ok(Redirect::to(&page).into_response())
}
