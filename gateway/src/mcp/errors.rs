//! The one place where failures become JSON-RPC errors.

use serde_json::{Value, json};

use super::handlers::Exchange;
use crate::domain::mcp::{RpcError, code};
use crate::upstream::{Server, UpstreamError};

/// An upstream's failure. The caller learns which server and what kind, not its addresses.
pub(super) fn upstream(error: &UpstreamError, server: &Server, exchange: &Exchange) -> RpcError {
    let name = server.name();
    tracing::warn!(
        server = name,
        code = error.code(),
        error = error as &dyn std::error::Error,
        "an MCP server did not do its part"
    );
    let number = match error {
        UpstreamError::IdInUse => code::INVALID_REQUEST,
        _ => code::UPSTREAM,
    };
    let mut data = json!({
        "code": error.code(),
        "retryable": error.retryable(),
        "requestId": exchange.context.request_id,
        "server": name,
    });
    if let Some(connect) = error.connect() {
        data["connectUrl"] = format!("{}{connect}", exchange.state.public_url).into();
    }
    RpcError::new(number, format!("{name}: {error}")).with_data(data)
}

/// A tool, prompt or resource that does not exist for the caller, whether it does for others or not.
pub(super) fn unknown(what: &'static str, name: &str, request_id: &str) -> RpcError {
    let (number, stable) = match what {
        "resource" => (code::RESOURCE_NOT_FOUND, "unknown_resource"),
        "prompt" => (code::INVALID_PARAMS, "unknown_prompt"),
        _ => (code::INVALID_PARAMS, "unknown_tool"),
    };
    RpcError::new(number, format!("Unknown {what}: {name}")).with_data(data(stable, request_id))
}

/// Parameters that do not fit.
pub(super) fn invalid_params(message: &str, request_id: &str) -> RpcError {
    RpcError::new(code::INVALID_PARAMS, message).with_data(data("invalid_params", request_id))
}

/// A request that does not fit the state of the session.
pub(super) fn invalid_request(message: &str, request_id: &str) -> RpcError {
    RpcError::new(code::INVALID_REQUEST, message).with_data(data("invalid_request", request_id))
}

/// A method that is not served here.
pub(super) fn no_method(method: &str, request_id: &str) -> RpcError {
    let message = format!("the method {method} is not served on this endpoint");
    RpcError::new(code::METHOD_NOT_FOUND, message).with_data(data("method_not_found", request_id))
}

/// The answer is there, but its record cannot be written, so that it must not be released.
pub(super) fn not_recorded(request_id: &str) -> RpcError {
    let message = "the outcome cannot be recorded now; whether the call took effect is not known";
    RpcError::new(code::INTERNAL_ERROR, message).with_data(json!({
        "code": "audit_unavailable",
        "retryable": true,
        "requestId": request_id,
    }))
}

fn data(code: &str, request_id: &str) -> Value {
    json!({ "code": code, "retryable": false, "requestId": request_id })
}
