//! A proxy between an operator and the API server that knows every call, and
//! can answer it itself, lose it, or stand still at it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::ConfigExt;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long a connection stays open without an answer before a timeout is answered.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A call of the operator.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it came.
    pub at: Instant,
    /// Method.
    pub method: Method,
    /// Path, without the query.
    pub path: String,
    /// Whether it asks for a watch.
    pub is_watch: bool,
}

impl Call {
    fn of(request: &Request) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self {
            at: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            is_watch: query.split('&').any(|pair| pair == "watch=true"),
        }
    }

    /// Whether it may change something, the Lease aside: that is written by the clock.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET && !self.path.contains("/leases")
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It reaches the API server, and its answer the operator.
    Forward,
    /// The API server never sees it; this is answered.
    Answer(StatusCode),
    /// The API server acts on it, and the answer is 504 after a while.
    TimeOutAfterSuccess,
    /// The API server acts on it, and the connection breaks.
    BreakAfterSuccess,
    /// Everything stops before the API server sees it.
    StopBefore,
    /// Everything stops when the API server has acted on it, before the operator knows.
    StopAfterCommit,
    /// Everything stops when the operator has its answer.
    StopAfterReply,
}

/// What becomes of watches, those under way included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// They flow.
    Flow,
    /// They break, and new ones do.
    Dropped,
}

type Rule = Box<dyn FnMut(&Call) -> Treatment + Send>;
type Upstream = Arc<
    dyn Fn(Request) -> BoxFuture<'static, Result<Response, hyper_util::client::legacy::Error>>
        + Send
        + Sync,
>;

/// The proxy; it ends when dropped.
pub struct ApiProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    inner: Mutex<Inner>,
    stopped: watch::Sender<bool>,
    streams: watch::Sender<Streams>,
    /// Counts up; watches of an earlier age stand still.
    age: watch::Sender<usize>,
}

struct Inner {
    upstream: Upstream,
    rule: Rule,
    calls: Vec<Call>,
    expired: usize,
}

impl ApiProxy {
    /// Listens on a free loopback port before the API server of `config`.
    pub async fn start(config: &Config) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                upstream: upstream(config)?,
                rule: Box::new(|_| Treatment::Forward),
                calls: Vec::new(),
                expired: 0,
            }),
            stopped: watch::Sender::new(false),
            streams: watch::Sender::new(Streams::Flow),
            age: watch::Sender::new(0),
        });
        let routes = Router::new().fallback(handle).with_state(shared.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// Where the operator connects instead.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Decides from now on what becomes of calls.
    pub fn rule(&self, rule: impl FnMut(&Call) -> Treatment + Send + 'static) {
        self.shared.lock().rule = Box::new(rule);
    }

    /// Everything that was called since the last look.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.lock().calls)
    }

    /// When the last write came, if any was called since the last look.
    pub fn last_write(&self) -> Option<Instant> {
        let inner = self.shared.lock();
        let mut calls = inner.calls.iter().rev();
        calls.find(|call| call.is_write()).map(|call| call.at)
    }

    /// How many watches the API server has called expired (410).
    pub fn expired_watches(&self) -> usize {
        self.shared.lock().expired
    }

    /// What becomes of watches.
    pub fn streams(&self, streams: Streams) {
        self.shared.streams.send_replace(streams);
    }

    /// From the watches under way no byte comes any more, and no end either;
    /// new ones flow.
    pub fn freeze_present_watches(&self) {
        self.shared.age.send_modify(|age| *age += 1);
    }

    /// From now on calls go to this API server; watches under way stay where they are.
    pub fn lead_to(&self, config: &Config) -> Result<()> {
        self.shared.lock().upstream = upstream(config)?;
        Ok(())
    }

    /// Waits until a call has stopped everything.
    pub async fn stopped(&self) {
        let mut stopped = self.shared.stopped.subscribe();
        // The sender lives as long as this proxy.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Ends every wait for a call that stops everything.
    pub fn stop_waiting(&self) {
        self.shared.stopped.send_replace(true);
    }

    /// Lets everything through again. Calls that were stopped at stay lost.
    pub fn resume(&self) {
        self.rule(|_| Treatment::Forward);
        self.shared.stopped.send_replace(false);
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of a call, and where it would go.
    fn judge(&self, call: &Call) -> (Treatment, Upstream) {
        let mut inner = self.lock();
        inner.calls.push(call.clone());
        // Nothing more is written once a call has stopped everything.
        let treatment = if *self.stopped.borrow() && call.is_write() {
            Treatment::StopBefore
        } else {
            (inner.rule)(call)
        };
        let stops = matches!(
            treatment,
            Treatment::StopBefore | Treatment::StopAfterCommit | Treatment::StopAfterReply
        );
        if stops {
            // Other writes must not slip past meanwhile.
            inner.rule = Box::new(|call| {
                if call.is_write() {
                    Treatment::StopBefore
                } else {
                    Treatment::Forward
                }
            });
        }
        (treatment, inner.upstream.clone())
    }

    async fn stand_still(&self) -> Response {
        self.stopped.send_replace(true);
        std::future::pending().await
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = Call::of(&request);
    let (treatment, upstream) = shared.judge(&call);
    match treatment {
        Treatment::Answer(status) => refusal(status),
        Treatment::StopBefore => shared.stand_still().await,
        Treatment::Forward if call.is_watch => match upstream(request).await {
            Ok(answer) => watched(answer, shared),
            Err(error) => broken(error),
        },
        Treatment::Forward => upstream(request).await.unwrap_or_else(broken),
        Treatment::TimeOutAfterSuccess => match whole(upstream(request)).await {
            Ok(_) => {
                tokio::time::sleep(TIMEOUT).await;
                refusal(StatusCode::GATEWAY_TIMEOUT)
            }
            Err(error) => broken(error),
        },
        Treatment::BreakAfterSuccess => match whole(upstream(request)).await {
            Ok(_) => broken("lost on purpose"),
            Err(error) => broken(error),
        },
        Treatment::StopAfterCommit => match whole(upstream(request)).await {
            Ok(_) => shared.stand_still().await,
            Err(error) => broken(error),
        },
        Treatment::StopAfterReply => match whole(upstream(request)).await {
            Ok((parts, body)) => {
                let shared = shared.clone();
                let last = async move {
                    shared.stopped.send_replace(true);
                    Ok::<_, std::io::Error>(Bytes::new())
                };
                let body = futures::stream::iter([Ok(body)]).chain(futures::stream::once(last));
                Response::from_parts(parts, Body::from_stream(body))
            }
            Err(error) => broken(error),
        },
    }
}

/// An answer with its whole body.
async fn whole(
    answer: BoxFuture<'_, Result<Response, hyper_util::client::legacy::Error>>,
) -> Result<(http::response::Parts, Bytes)> {
    let (mut parts, body) = answer.await?.into_parts();
    let body = body.collect().await?.to_bytes();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::TRANSFER_ENCODING);
    Ok((parts, body))
}

/// A watch that flows, freezes and breaks as the test says.
fn watched(answer: Response, shared: Arc<Shared>) -> Response {
    let (parts, body) = answer.into_parts();
    if parts.status == StatusCode::GONE {
        shared.lock().expired += 1;
    }
    let (streams, mut age) = (shared.streams.subscribe(), shared.age.subscribe());
    let born = *age.borrow();
    let frozen = async move {
        // The sender lives as long as the proxy.
        let _ = age.wait_for(|age| *age > born).await;
    };
    let body = gated(body, streams, frozen).inspect(move |chunk| {
        // An expired watch may also be told inside of the stream.
        if chunk
            .as_ref()
            .is_ok_and(|chunk| contains(chunk, br#""code":410"#))
        {
            shared.lock().expired += 1;
        }
    });
    Response::from_parts(parts, Body::from_stream(body))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn gated(
    body: Body,
    streams: watch::Receiver<Streams>,
    frozen: impl Future<Output = ()>,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let frozen = Box::pin(frozen.shared());
    futures::stream::unfold(
        (body.into_data_stream(), streams, frozen),
        async |(mut data, mut streams, mut frozen)| {
            loop {
                let now = *streams.borrow_and_update();
                match now {
                    Streams::Dropped => {
                        let dropped = Err(std::io::Error::other("dropped"));
                        return Some((dropped, (data, streams, frozen)));
                    }
                    Streams::Flow => tokio::select! {
                        chunk = data.next() => {
                            let chunk = chunk?.map_err(std::io::Error::other);
                            return Some((chunk, (data, streams, frozen)));
                        }
                        changed = streams.changed() => changed.ok()?,
                        () = &mut frozen => std::future::pending().await,
                    },
                }
            }
        },
    )
}

/// An answer that the API server itself could have given.
fn refusal(status: StatusCode) -> Response {
    let reason = match status {
        StatusCode::CONFLICT => "Conflict",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::GATEWAY_TIMEOUT => "Timeout",
        _ => "InternalError",
    };
    let body = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": "the test answers instead of the API server",
        "reason": reason,
        "code": status.as_u16(),
    });
    (status, axum::Json(body)).into_response()
}

/// An answer that breaks off, as a lost connection does.
fn broken(error: impl std::fmt::Display) -> Response {
    let error = std::io::Error::other(error.to_string());
    Response::new(Body::from_stream(futures::stream::iter([Err::<
        Bytes,
        std::io::Error,
    >(error)])))
}

/// A way to the API server of `config`, without a credential of its own.
fn upstream(config: &Config) -> Result<Upstream> {
    let connector = config.rustls_https_connector()?;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
    let authority = config
        .cluster_url
        .authority()
        .context("the API server's URL has no host")?
        .clone();
    Ok(Arc::new(move |mut request: Request| {
        let path = request.uri().path_and_query().cloned();
        let uri = http::Uri::builder()
            .scheme("https")
            .authority(authority.clone())
            .path_and_query(path.unwrap_or(http::uri::PathAndQuery::from_static("/")))
            .build();
        if let Ok(uri) = uri {
            *request.uri_mut() = uri;
        }
        request.headers_mut().remove(header::HOST);
        request.headers_mut().remove(header::CONNECTION);
        let client = client.clone();
        Box::pin(async move { Ok(client.request(request).await?.map(Body::new)) })
    }))
}
