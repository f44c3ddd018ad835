//! A way to the API server that is closed to whoever does not lead.
//!
//! That a replica leads is asked before every write, but a process can stand
//! still between that question and the moment its bytes leave: while it waits
//! for a connection, or for its turn on a thread. So the question is asked once
//! more where bytes are handed to the kernel. What was handed over before is
//! with the API server long before anybody else leads.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use kube::client::retry::RetryPolicy;
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::{BoxError, ServiceBuilder, ServiceExt};

use crate::leader::Leadership;

/// A client whose connections take bytes only while `leadership` holds.
///
/// # Errors
/// When the configuration's credentials or certificates cannot be used.
pub(crate) fn fenced_client(config: &Config, leadership: &Leadership) -> kube::Result<Client> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(config.connect_timeout);
    let leadership = leadership.clone();
    let fenced = http.map_response(move |connection| Fenced {
        connection,
        leadership: leadership.clone(),
    });
    let https = config.rustls_https_connector_with_connector(fenced)?;
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https);
    // As `Client::try_from` has it.
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// A connection, below TLS.
struct Fenced<C> {
    connection: C,
    leadership: Leadership,
}

impl<C> Fenced<C> {
    fn check(&self) -> io::Result<()> {
        self.leadership
            .check()
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))
    }
}

impl<C: Write + Unpin> Write for Fenced<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.connection).poll_write_vectored(context, bytes)
    }
}

impl<C: Read + Unpin> Read for Fenced<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: Connection> Connection for Fenced<C> {
    fn connected(&self) -> Connected {
        self.connection.connected()
    }
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;
