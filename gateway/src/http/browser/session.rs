//! Cookies, and who a browser is logged in as.

use std::sync::Arc;

use agentapi_crds::tenant_config::RequestClass;
use axum::extract::FromRequestParts;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use http::request::Parts;
use subtle::ConstantTimeEq;

use super::{AppState, ErrorCode, Problem};
use crate::domain::oauth::Ticket;
use crate::oauth::{Browser, OAuthError, new_ticket};
use crate::store::BrowserSession;
use crate::tenants::Tenant;

/// Who the browser is logged in as. The prefix keeps it to this host, all of it, over TLS
/// (RFC 6265bis, section 4.1.3.2).
const SESSION: &str = "__Host-agentapi";
/// What the browser keeps while it logs in.
pub(super) const LOGIN: &str = "__Host-agentapi-login";
/// How long a browser stays logged in.
const LIFETIME_SECONDS: u32 = 30 * 60;

/// A browser that is logged in at an organization.
#[derive(Clone)]
pub(in crate::http) struct Visitor {
    pub(super) tenant: Arc<Tenant>,
    pub(super) browser: Browser,
}

/// Who the browser is, if that is known.
pub(in crate::http) struct MaybeVisitor(pub(super) Option<Visitor>);

impl FromRequestParts<AppState> for MaybeVisitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        visitor(&parts.headers, state).await.map(Self)
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let found = visitor(&parts.headers, state).await?;
        found.ok_or_else(|| {
            let detail = "the browser is not logged in, or no longer: open the connect link again";
            Problem::new(ErrorCode::Unauthorized, detail)
        })
    }
}

impl Visitor {
    /// What a form of this browser must carry: another site cannot know it.
    pub(super) fn csrf(&self) -> String {
        self.browser.ticket.derive_text("csrf", &[])
    }

    /// Refuses a form that another site made the browser send.
    pub(super) fn check_csrf(&self, given: &str) -> Result<(), Problem> {
        same(given, &self.csrf())
    }

    /// Refuses who asks too often.
    pub(super) async fn within_rate(&self, state: &AppState) -> Result<(), Problem> {
        within_rate(state, &self.tenant, &self.browser.user).await
    }
}

/// Refuses who asks too often.
pub(super) async fn within_rate(
    state: &AppState,
    tenant: &Tenant,
    who: &str,
) -> Result<(), Problem> {
    let decision = state.limiter.check(tenant, who, RequestClass::Api).await;
    if decision.allowed {
        return Ok(());
    }
    state.metrics.limited("api");
    let problem = Problem::new(
        ErrorCode::RateLimited,
        "too many requests: try again in a minute",
    );
    Err(problem.retry_after(60))
}

/// Compares without telling by the time it takes.
pub(super) fn same(given: &str, expected: &str) -> Result<(), Problem> {
    if given.as_bytes().ct_eq(expected.as_bytes()).into() {
        return Ok(());
    }
    let detail = "the form is not one of this browser's: open the link again";
    Err(Problem::new(ErrorCode::Forbidden, detail))
}

/// Logs the browser in; returns its cookie.
pub(super) async fn log_in(
    state: &AppState,
    tenant: &Tenant,
    user: &str,
    administers: bool,
) -> Result<HeaderValue, Problem> {
    let ticket = new_ticket(tenant.id)?;
    let session = BrowserSession {
        id: ticket.id,
        user: user.to_owned(),
        secret_hash: ticket.hash(),
        administers,
        lifetime_seconds: LIFETIME_SECONDS,
    };
    let stored = state.store.create_browser_session(tenant.id, &session);
    stored.await?;
    set(SESSION, &ticket.text(), LIFETIME_SECONDS)
}

async fn visitor(headers: &HeaderMap, state: &AppState) -> Result<Option<Visitor>, Problem> {
    let Some(ticket) = cookie(headers, SESSION).and_then(Ticket::read) else {
        return Ok(None);
    };
    let tenant = state.tenants.by_id(crate::store::TenantId(ticket.tenant));
    let Some(tenant) = tenant.filter(|tenant| !tenant.config.suspended) else {
        return Ok(None);
    };
    let session = state.store.browser_session(tenant.id, ticket.id).await?;
    let session = session.filter(|session| ticket.fits(&session.secret_hash));
    Ok(session.map(|session| Visitor {
        tenant,
        browser: Browser {
            ticket,
            user: session.user.into(),
            administers: session.administers,
        },
    }))
}

/// The one cookie of that name; none where there are several, as one may be somebody else's.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let mut values = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let value = values.next();
    value.filter(|_| values.next().is_none())
}

/// Sets a cookie for this host only, over TLS only, and for no script.
pub(super) fn set(name: &str, value: &str, seconds: u32) -> Result<HeaderValue, Problem> {
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut field = HeaderValue::from_str(&text).map_err(|_| OAuthError::State)?;
    field.set_sensitive(true);
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let pairs = lines
            .iter()
            .map(|line| (COOKIE, HeaderValue::from_static(line)));
        pairs.collect()
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers(&["a=1; __Host-agentapi=x; b=2"]);
        assert_eq!(cookie(&headers, SESSION), Some("x"));
    }

    #[test]
    fn of_two_cookies_of_one_name_none_is_believed() {
        for lines in [
            &["__Host-agentapi=x; __Host-agentapi=y"][..],
            &["__Host-agentapi=x", "__Host-agentapi=y"],
        ] {
            assert_eq!(cookie(&headers(lines), SESSION), None, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let set = set(SESSION, "x", 60).unwrap();
        let text = set.to_str().unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(text.contains(attribute), "{text}");
        }
        assert!(!text.contains("Domain"), "{text}");
    }
}
