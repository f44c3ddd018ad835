//! One question to a token endpoint, or to a revocation endpoint.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::OAuthError;
use super::authorization_server::Client;
use crate::domain::oauth::{Profile, TokenSet};
use crate::upstream::{HttpClient, HttpError};

/// Longest wait for an answer: shorter than the lease on a refresh.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 256 * 1024;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A form, encoded, whose values may be secret.
pub(super) struct Form(Zeroizing<String>);

impl Form {
    pub(super) fn new() -> Self {
        Self(Zeroizing::default())
    }

    pub(super) fn with(self, name: &str, value: &str) -> Self {
        let Self(mut text) = self;
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        text.push('=');
        text.extend(form_urlencoded::byte_serialize(value.as_bytes()));
        Self(text)
    }

    pub(super) fn with_secret(self, name: &str, value: &SecretString) -> Self {
        self.with(name, value.expose_secret())
    }

    /// Sends the form as a client: by HTTP Basic (RFC 6749, section 2.3.1), or within the form.
    pub(super) async fn send(
        self,
        http: &HttpClient,
        url: &Url,
        client: &Client,
        secret_in_body: bool,
    ) -> Result<Response<Bytes>, OAuthError> {
        let (form, authorization) = match &client.secret {
            Some(secret) if !secret_in_body => (self, Some(basic(&client.id, secret))),
            Some(secret) => {
                let form = self.with("client_id", &client.id);
                (form.with_secret("client_secret", secret), None)
            }
            None => (self.with("client_id", &client.id), None),
        };
        let mut request = Request::new(Full::from(form.0.as_bytes().to_vec()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri(url)?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, FORM);
        headers.insert(header::ACCEPT, JSON);
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, sensitive(&authorization)?);
        }
        send(http, request).await
    }
}

/// Tokens, for a form that asks for some.
pub(super) async fn tokens(
    form: Form,
    http: &HttpClient,
    url: &Url,
    client: &Client,
    secret_in_body: bool,
    profile: &Profile,
) -> Result<TokenSet, OAuthError> {
    let answer = form.send(http, url, client, secret_in_body).await?;
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    let tokens = TokenSet::read(answer.status(), content_type, answer.body(), profile);
    Ok(tokens?)
}

/// Sends a request; tells failures before it was sent from others.
pub(super) async fn send(
    http: &HttpClient,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, OAuthError> {
    let answered = http.whole(request, MAX_ANSWER, PATIENCE).await;
    answered.map_err(|error| match error {
        HttpError::Refused(_) | HttpError::Url(_) | HttpError::Connect(_) => {
            OAuthError::NotSent(error)
        }
        _ => OAuthError::Unknown(error),
    })
}

pub(super) fn uri(url: &Url) -> Result<http::Uri, OAuthError> {
    let uri = url.as_str().parse();
    uri.map_err(|error: http::uri::InvalidUri| OAuthError::NotSent(HttpError::Url(error.into())))
}

/// RFC 6749, section 2.3.1: both parts are encoded as in forms first.
pub(super) fn basic(id: &str, secret: &SecretString) -> Zeroizing<String> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (id, secret) = (encoded(id), Zeroizing::new(encoded(secret.expose_secret())));
    let pair = Zeroizing::new(format!("{id}:{}", *secret));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

pub(super) fn sensitive(text: &str) -> Result<HeaderValue, OAuthError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|error| OAuthError::NotSent(HttpError::Url(error.into())))?;
    value.set_sensitive(true);
    Ok(value)
}
