//! A request is under way until its answer has been sent, which may be long after its handler returned.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use hyper::body::{Frame, SizeHint};

use crate::limits::UnderWay;

const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The same answer, which gives back what its request held once it is sent or given up.
/// A stream that was asked for has a place of its own among streams, and gives it back at once.
pub(super) fn hold(response: Response, method: &Method, held: UnderWay) -> Response {
    let is_stream = response.headers().get(CONTENT_TYPE) == Some(&EVENTS);
    if is_stream && *method == Method::GET {
        return response;
    }
    response.map(|body| Body::new(Holding { body, _held: held }))
}

struct Holding {
    body: Body,
    _held: UnderWay,
}

impl HttpBody for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
