//! How pages look, and what they may do: nothing but be read, and send their own forms.

use std::sync::LazyLock;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{HeaderName, StatusCode};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{ErrorCode, Problem};
use crate::http::problem::Told;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// What a page says and offers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) text: Vec<String>,
    pub(super) form: Option<Form>,
    pub(super) connections: Vec<Row>,
    /// For the forms of the rows.
    pub(super) csrf: String,
}

/// A form with one button.
#[derive(Debug, Serialize)]
pub(super) struct Form {
    pub(super) action: &'static str,
    pub(super) button: &'static str,
    pub(super) hidden: Vec<(&'static str, String)>,
    pub(super) asks_token: bool,
}

/// A connection in a table.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) server: String,
    pub(super) holder: &'static str,
    pub(super) issuer: String,
    pub(super) scopes: String,
    pub(super) state: &'static str,
    pub(super) can_end: bool,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        match rendered(&self) {
            Ok(html) => (headers(), Html(html)).into_response(),
            Err(error) => {
                tracing::error!(%error, "a page cannot be rendered");
                Problem::new(ErrorCode::Internal, "the page cannot be shown").into_response()
            }
        }
    }
}

/// Whether a client would rather be shown a page.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    let mut texts = values.filter_map(|value| value.to_str().ok());
    texts.any(|text| text.contains("text/html"))
}

/// Shows a problem as a page to who accepts HTML.
pub(in crate::http) async fn as_page(request: Request, next: Next) -> Response {
    let wants_page = accepts_html(request.headers());
    let answer = next.run(request).await;
    match answer.extensions().get::<Told>() {
        Some(told) if wants_page => shown(answer.status(), told, answer.headers()),
        _ => answer,
    }
}

fn shown(status: StatusCode, told: &Told, headers: &HeaderMap) -> Response {
    let page = Page {
        title: told.title.to_owned(),
        text: vec![told.detail.clone()],
        ..Page::default()
    };
    let mut shown = page.into_response();
    *shown.status_mut() = status;
    for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_TYPE) {
        shown.headers_mut().append(name, value.clone());
    }
    shown
}

fn rendered(page: &Page) -> Result<String, minijinja::Error> {
    #[derive(Serialize)]
    struct Styled<'a> {
        #[serde(flatten)]
        page: &'a Page,
        style: &'static str,
    }
    let style = STYLE;
    // The name's ending turns escaping on.
    Environment::new().render_named_str("page.html", TEMPLATE, Serde(Styled { page, style }))
}

/// No script, no frame, nothing from elsewhere, and kept by nobody.
fn headers() -> [(HeaderName, HeaderValue); 5] {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'"
        )
    });
    let policy = HeaderValue::from_str(&POLICY);
    [
        (
            HeaderName::from_static("content-security-policy"),
            policy.unwrap_or(HeaderValue::from_static("default-src 'none'")),
        ),
        (
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ),
        (
            HeaderName::from_static("x-frame-options"),
            HeaderValue::from_static("DENY"),
        ),
        (
            HeaderName::from_static("referrer-policy"),
            HeaderValue::from_static("no-referrer"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_shown_and_not_done() {
        let page = Page {
            title: "<script>alert(1)</script>".to_owned(),
            text: vec!["\"><img src=x onerror=alert(1)>".to_owned()],
            form: Some(Form {
                action: "/v1/oauth/connect",
                button: "Go",
                hidden: vec![("server", "\" autofocus onfocus=alert(1) x=\"".to_owned())],
                asks_token: false,
            }),
            ..Page::default()
        };
        let html = rendered(&page).unwrap();
        for active in ["<script", "<img", "\" autofocus"] {
            assert!(!html.contains(active), "{html}");
        }
    }
}
