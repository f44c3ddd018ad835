//! Redis over REST, as Upstash documents it: `POST /` takes a command as a JSON
//! array, `POST /pipeline` an array of them, both behind a bearer token.
//!
//! The server is the platform's own choice, like the database, so the dialer for
//! URLs of tenants is not asked. The token leaves this machine only over TLS.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use redis::{Arg, Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use serde::Deserialize;
use tokio::time::timeout;
use url::{Host, Url};

use super::CacheError;
use super::connection::Connection;
use crate::upstream::client_tls;

/// How long a whole exchange may take, a new connection over a distance included.
/// Whoever decides about a request waits less by itself.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Idle connections are closed before common servers close them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A server of the REST protocol. Connections are kept and shared.
pub(super) struct Rest {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    command: Uri,
    pipeline: Uri,
    authorization: HeaderValue,
}

/// What the server says to one command.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Result(serde_json::Value),
    Error(String),
}

impl Rest {
    /// Reads `https://:TOKEN@HOST`, or `http://…` for this machine; connects when first used.
    pub(super) fn open(url: &str) -> Result<Self, CacheError> {
        let mut url = Url::parse(url).map_err(|_| CacheError::Url)?;
        if !may_carry_a_token(&url) {
            return Err(CacheError::Url);
        }
        let authorization = authorization(&url).ok_or(CacheError::Url)?;
        // What is in a request's URI may be logged on the way.
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| CacheError::Url)?;
        let uri = |path: &str| {
            let joined = url.join(path).map_err(|_| CacheError::Url)?;
            joined.as_str().parse().map_err(|_| CacheError::Url)
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(None)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(plain_connector());
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build(connector),
            command: uri("/")?,
            pipeline: uri("/pipeline")?,
            authorization,
        })
    }

    /// Sends a JSON document, and reads one.
    async fn exchange<T: for<'de> Deserialize<'de>>(
        &self,
        uri: &Uri,
        document: &impl serde::Serialize,
    ) -> Result<T, RedisError> {
        let mut request = Request::new(Full::from(serde_json::to_vec(document).map_err(other)?));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let whole = async {
            let response = self.client.request(request).await.map_err(other)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
            let body = body.collect().await.map_err(other)?.to_bytes();
            serde_json::from_slice(&body).map_err(|_| unreadable(status))
        };
        let in_time = timeout(TIMEOUT, whole).await;
        in_time.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }
}

#[async_trait]
impl Connection for Rest {
    async fn run(&self, command: &Cmd) -> Result<Value, RedisError> {
        let answer: Answer = self.exchange(&self.command, &words(command)?).await?;
        answer.value()
    }

    async fn run_all(
        &self,
        commands: &[Cmd],
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        let commands: Vec<_> = commands.iter().map(words).collect::<Result<_, _>>()?;
        let answers: Vec<Answer> = self.exchange(&self.pipeline, &commands).await?;
        if answers.len() != commands.len() {
            return Err(other("the server answered another number of commands"));
        }
        Ok(answers.into_iter().map(Answer::value).collect())
    }
}

impl Answer {
    fn value(self) -> Result<Value, RedisError> {
        match self {
            Self::Result(value) => value_of(value),
            Self::Error(text) => Err(server_error(text)),
        }
    }
}

/// Whether a token may be sent there: encrypted, or without leaving this machine.
fn may_carry_a_token(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

/// The token, which stands where a password does.
fn authorization(url: &Url) -> Option<HeaderValue> {
    let token = percent_decode_str(url.password()?).decode_utf8().ok()?;
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    (!token.is_empty()).then_some(value)
}

fn plain_connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

/// A command as the protocol has it. JSON carries text only, and so do our commands.
fn words(command: &Cmd) -> Result<Vec<&str>, RedisError> {
    let words = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => std::str::from_utf8(bytes).map_err(other),
        _ => Err(other("a cursor cannot be sent")),
    });
    words.collect()
}

/// A value of JSON as one of Redis.
fn value_of(json: serde_json::Value) -> Result<Value, RedisError> {
    use serde_json::Value as Json;
    Ok(match json {
        Json::Null => Value::Nil,
        Json::String(text) => Value::BulkString(text.into_bytes()),
        Json::Number(number) => {
            let whole = number.as_i64();
            Value::Int(whole.ok_or_else(|| other("the server answered a number with a fraction"))?)
        }
        Json::Array(values) => {
            let values = values.into_iter().map(value_of);
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Json::Bool(_) | Json::Object(_) => {
            return Err(other("the server answered what no command of ours returns"));
        }
    })
}

/// What Redis said, in the server's words: some servers put words of their own before it.
fn server_error(text: String) -> RedisError {
    let kind = match text.contains("NOSCRIPT") {
        true => ErrorKind::Server(ServerErrorKind::NoScript),
        false => ErrorKind::Server(ServerErrorKind::ResponseError),
    };
    (kind, "the server refused a command", text).into()
}

fn unreadable(status: StatusCode) -> RedisError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let detail = "the token of redis_url is not accepted";
            (ErrorKind::AuthenticationFailed, detail).into()
        }
        status => other(format!("an answer with status {status} cannot be read")),
    }
}

fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> RedisError {
    io::Error::other(error).into()
}

#[cfg(test)]
#[path = "rest_tests.rs"]
mod tests;
