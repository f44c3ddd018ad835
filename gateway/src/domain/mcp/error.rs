//! JSON-RPC errors.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Codes of JSON-RPC 2.0 (section 5.1), MCP, and the range left to servers.
pub mod code {
    /// Not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// Not a request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// Nobody serves the method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters do not fit; also MCP's code for an unknown tool or prompt.
    pub const INVALID_PARAMS: i64 = -32602;
    /// A defect of the gateway.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// MCP: no such resource.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// The upstream did not do its part; `data.retryable` says whether asking again may help.
    pub const UPSTREAM: i64 = -32050;
    /// MCP 2026-07-28: the revision is not supported.
    pub const UNSUPPORTED_REVISION: i64 = -32022;
}

/// The `error` of a JSON-RPC response.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RpcError {
    /// One of [`code`].
    pub code: i64,
    /// What happened, for people.
    pub message: String,
    /// What happened, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same error with data for programs.
    pub fn with_data(self, data: Value) -> Self {
        Self {
            data: Some(data),
            ..self
        }
    }

    /// The whole response to a request; `id` is null where it could not be read.
    pub fn response(&self, id: Option<&RawValue>) -> String {
        let id = id.map_or("null", RawValue::get);
        let error = serde_json::json!(self);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
    }
}
