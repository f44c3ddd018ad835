//! Back from the authorization server.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};

use super::page::Page;
use super::session::Visitor;
use super::{AppState, Problem};
use crate::domain::audit::{Action, Outcome};
use crate::domain::oauth::Redirected;
use crate::http::authenticate::Origin;
use crate::http::problem::ProblemDocument;
use crate::oauth::OAuthError;

/// Comes back from the authorization server, and keeps the account
#[utoipa::path(
    get, path = "/v1/oauth/callback", tag = "browser",
    responses(
        (status = 200, description = "A page", body = String, content_type = "text/html"),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(in crate::http) async fn complete(
    State(state): State<AppState>,
    visitor: Visitor,
    origin: Origin,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    visitor.within_rate(&state).await?;
    let (tenant, browser) = (&visitor.tenant, &visitor.browser);
    let redirected = Redirected::read(&query.unwrap_or_default()).map_err(OAuthError::from)?;
    let returned = state.oauth.returned(tenant, browser, &redirected).await?;
    let context = origin.context(tenant, &browser.user, None);
    let resource = format!("oauth/{}", returned.server());
    let act = state
        .recorder
        .intent(tenant.id, &context.0, Action::OAuthConnect, resource)
        .await?;
    let connected = state
        .oauth
        .complete(tenant, browser, returned, &redirected, &state.public_url)
        .await;
    match connected {
        Ok(connected) => {
            act.finish(Outcome::Success, None).await?;
            Ok(Page {
                title: "Connected".to_owned(),
                text: vec![
                    format!(
                        "The server {} can be used with your account at {} now.",
                        connected.server, connected.issuer
                    ),
                    "This window can be closed.".to_owned(),
                ],
                ..Page::default()
            }
            .into_response())
        }
        Err(error) => {
            let code = error.code();
            act.finish(Outcome::Failure, Some(code)).await?;
            Err(error.into())
        }
    }
}
