//! Which web pages may speak to the MCP endpoints (MCP 2025-11-25, Transports,
//! "Security Warning"): a page that reaches a gateway by DNS rebinding still says
//! where it came from, and is refused before anything else is looked at.
//!
//! Pages that are let in are told so as browsers want it (Fetch Standard, 3.3).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderName, HeaderValue, StatusCode};
use url::Url;

use crate::http::{AppState, ErrorCode, Problem};

const METHODS: &str = "GET, POST, DELETE";
const REQUEST_HEADERS: &str =
    "accept, authorization, content-type, mcp-protocol-version, mcp-session-id, x-request-id";
const ANSWER_HEADERS: &str = "mcp-session-id, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, www-authenticate, x-request-id";
/// Seconds for which a browser may remember a preflight's answer.
const MAX_AGE: &str = "600";

/// Origins that are let in. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Origins(Arc<[String]>);

impl Origins {
    /// The gateway's own origin, and those that the platform allows.
    pub fn new(public_url: &str, allowed: Vec<String>) -> Self {
        let own = Url::parse(public_url).map(|url| url.origin().ascii_serialization());
        Self(own.into_iter().chain(allowed).collect())
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.0.iter().any(|allowed| origin == allowed.as_str())
    }
}

/// Lets requests on that come from no web page, or from one that is allowed.
pub(crate) async fn check(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let mut origins = request.headers().get_all(ORIGIN).iter();
    let (Some(origin), further) = (origins.next().cloned(), origins.next()) else {
        return Ok(next.run(request).await);
    };
    if further.is_some() || !state.origins.allows(&origin) {
        return Err(Problem::new(
            ErrorCode::OriginNotAllowed,
            "web pages of this origin are not let in: see allowed_origins in the gateway's configuration",
        ));
    }
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(ANSWER_HEADERS),
    );
    Ok(answer)
}

/// Answers what browsers ask before they send a request; that carries no token,
/// so this stands outside of the middleware that authenticates.
pub(crate) async fn preflight() -> (StatusCode, [(HeaderName, &'static str); 3]) {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exactly_the_same_origin_is_let_in() {
        let allowed = vec!["https://tools.example.com".to_owned()];
        let origins = Origins::new("https://agents.example.com:8443/base", allowed);
        for (origin, allowed) in [
            ("https://agents.example.com:8443", true),
            ("https://tools.example.com", true),
            ("https://agents.example.com", false),
            ("http://tools.example.com", false),
            ("https://tools.example.com.evil.example", false),
            ("null", false),
        ] {
            let header = HeaderValue::from_static(origin);
            assert_eq!(origins.allows(&header), allowed, "{origin}");
        }
    }
}
