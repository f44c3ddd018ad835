//! Newline-delimited messages, in and out.

use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::routes::{Routed, Routes};
use crate::domain::mcp::{RpcError, ServerMessage, code};
use crate::upstream::UpstreamError;

/// What the output of a child holds next.
enum Line {
    Message(String),
    /// Something that is no message: some programs print a greeting.
    Noise,
    TooLarge,
    End,
}

/// Writes messages as they come, one a line.
pub(super) async fn write(mut input: ChildStdin, mut queue: mpsc::Receiver<String>) {
    while let Some(text) = queue.recv().await {
        // Line breaks in JSON can only stand between its tokens, where a space is the same.
        let line = text.replace(['\n', '\r'], " ") + "\n";
        if input.write_all(line.as_bytes()).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

/// Reads messages until the child ends, and gives each to the call it belongs to.
pub(super) async fn read(
    output: ChildStdout,
    message_bytes: usize,
    routes: Arc<Routes>,
    input: mpsc::Sender<String>,
    ended: CancellationToken,
) {
    let mut output = BufReader::new(output);
    let why = loop {
        let line = tokio::select! {
            line = next(&mut output, message_bytes) => line,
            () = ended.cancelled() => Line::End,
        };
        match line {
            Line::Message(text) => deliver(text, &routes, &input).await,
            Line::Noise => {
                tracing::debug!("the server's program printed something else than a message")
            }
            Line::TooLarge => break UpstreamError::TooLarge(message_bytes),
            Line::End => break UpstreamError::Exited,
        }
    };
    routes.end(why).await;
    ended.cancel();
}

async fn deliver(text: String, routes: &Routes, input: &mpsc::Sender<String>) {
    if ServerMessage::peek(&text).is_none() {
        let garbage = UpstreamError::Invalid("its program printed a line that is not JSON-RPC");
        return routes.fail(garbage).await;
    }
    if let Routed::Unheard { request: Some(id) } = routes.deliver(text).await {
        let refusal = RpcError::new(
            code::METHOD_NOT_FOUND,
            "no call is in flight that could carry a request to the client",
        );
        let answer = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#,
            serde_json::json!(refusal)
        );
        // A child that does not read its answers must not keep us from reading it.
        let _ = input.try_send(answer);
    }
}

async fn next(output: &mut (impl AsyncBufRead + Unpin), message_bytes: usize) -> Line {
    let mut line = Vec::new();
    loop {
        let Ok(available) = output.fill_buf().await else {
            return Line::End;
        };
        if available.is_empty() {
            return Line::End;
        }
        let (taken, whole) = match available.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (available.len(), false),
        };
        line.extend_from_slice(available.get(..taken).unwrap_or_default());
        output.consume(taken);
        if line.len() > message_bytes {
            return Line::TooLarge;
        }
        if whole {
            return match String::from_utf8(line) {
                Ok(text) if text.trim_start().starts_with('{') => {
                    Line::Message(text.trim_ascii().to_owned())
                }
                _ => Line::Noise,
            };
        }
    }
}
