//! How the MCP endpoints read in the OpenAPI document.

mod messages;

use http::StatusCode;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Object, ObjectBuilder, OneOfBuilder, Ref, Required, Schema, Type};

use crate::domain::mcp::REVISIONS;
use crate::http::ErrorCode;
use crate::http::refusals::{header, refusals};

pub(super) use messages::schemas;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

const FEDERATED: &str = "all servers of the organization: tools and prompts are called `<server>__<name>`, resources `<server>+<uri>`";
const SINGLE: &str = "one server, names and results untouched";
const SESSION: &str =
    "all servers, in the workspace of an agent session, with the composed prompt as `instructions`";

/// Refusals of every request.
const ALWAYS: [ErrorCode; 7] = [
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::OrganizationSuspended,
    ErrorCode::OriginNotAllowed,
    ErrorCode::RateLimited,
    ErrorCode::Internal,
    ErrorCode::Unavailable,
];
/// Further refusals of messages.
const OF_MESSAGES: [ErrorCode; 7] = [
    ErrorCode::InvalidRequest,
    ErrorCode::NotSupported,
    ErrorCode::NotFound,
    ErrorCode::NotAcceptable,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::PromptRefused,
];
/// Further refusals of the end of a session.
const OF_ENDS: [ErrorCode; 2] = [ErrorCode::InvalidRequest, ErrorCode::NotFound];

/// `POST` to an endpoint.
pub(super) fn message(path: &str) -> Operation {
    let body = RequestBodyBuilder::new()
        .description(Some(
            "One JSON-RPC 2.0 message in UTF-8; in sessions of the revision 2025-03-26 also a batch.",
        ))
        .required(Some(Required::True))
        .content(JSON, either("JsonRpcMessage", "JsonRpcBatch"))
        .build();
    let description = format!(
        "MCP Streamable HTTP, revisions {}, for {}. The header `Accept` must list both `{JSON}` \
         and `{EVENTS}`. A session begins with `initialize`; its id is in the answer's header \
         `Mcp-Session-Id`, and every later message carries it.",
        REVISIONS.join(", "),
        offers(path)
    );
    operation(path, "message", "Sends an MCP message")
        .description(Some(description))
        .parameter(session_id(Required::False))
        .parameter(revision())
        .request_body(Some(body))
        .response("200", answered())
        .response(
            "202",
            limited(ResponseBuilder::new().description(
                "The message was a notification, or an answer to a server, and was taken over.",
            )),
        )
        .responses_of(&OF_MESSAGES, |status, response| match status {
            StatusCode::BAD_REQUEST => response.content(JSON, content("JsonRpcError")),
            _ => response,
        })
        .build()
}

/// `DELETE` of an endpoint.
pub(super) fn end(path: &str) -> Operation {
    let ended = "The session has ended, with those at the servers behind it.";
    operation(path, "end", "Ends an MCP session")
        .parameter(session_id(Required::True))
        .parameter(revision())
        .response("204", limited(ResponseBuilder::new().description(ended)))
        .responses_of(&OF_ENDS, |_, response| response)
        .build()
}

/// `GET` of an endpoint.
pub(super) fn no_stream(path: &str) -> Operation {
    operation(path, "listen", "Offers no event stream of its own")
        .description(Some(
            "Servers speak within the answers to messages only, as MCP permits.",
        ))
        .responses_of(&[ErrorCode::MethodNotAllowed], |_, response| response)
        .build()
}

fn operation(path: &str, act: &str, summary: &str) -> OperationBuilder {
    let in_path = parameters(path).map(|name| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(meaning(name)))
            .schema(Some(text()))
    });
    let of: String = parameters(path).map(|name| format!("_{name}")).collect();
    OperationBuilder::new()
        .tag("mcp")
        .operation_id(Some(format!("{act}{of}")))
        .summary(Some(summary))
        .parameters(Some(in_path))
}

/// The names of a path's parameters.
fn parameters(path: &str) -> impl Iterator<Item = &str> {
    let braced = path.split('{').skip(1);
    braced.filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

fn meaning(parameter: &str) -> &'static str {
    match parameter {
        "organization" => "Name of the organization; the token must be one of it.",
        "server" => "Name of the `McpServer`.",
        _ => "Id of the agent session.",
    }
}

fn offers(path: &str) -> &'static str {
    match parameters(path).last() {
        Some("server") => SINGLE,
        Some("id") => SESSION,
        _ => FEDERATED,
    }
}

/// A refusal under each status, with the codes that come under it.
trait Refusals {
    fn responses_of(
        self,
        further: &[ErrorCode],
        complete: impl Fn(StatusCode, ResponseBuilder) -> ResponseBuilder,
    ) -> Self;
}

impl Refusals for OperationBuilder {
    fn responses_of(
        self,
        further: &[ErrorCode],
        complete: impl Fn(StatusCode, ResponseBuilder) -> ResponseBuilder,
    ) -> Self {
        let codes: Vec<ErrorCode> = ALWAYS.iter().chain(further).copied().collect();
        refusals(&codes)
            .into_iter()
            .fold(self, |operation, (status, response)| {
                operation.response(status.as_str(), complete(status, response).build())
            })
    }
}

fn answered() -> Response {
    let events = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "Server-sent events, each with one JSON-RPC message as its data; the response comes last.",
        ));
    let response = ResponseBuilder::new()
        .description("The response to a request, alone or after messages of the server.")
        .header(
            "Mcp-Session-Id",
            header("Id of the new session; on the answer to `initialize` only."),
        )
        .content(JSON, either("JsonRpcResponse", "JsonRpcBatchResponse"))
        .content(
            EVENTS,
            ContentBuilder::new().schema(Some(events.build())).build(),
        );
    limited(response)
}

/// What every answer to a caller within their rate tells.
fn limited(response: ResponseBuilder) -> Response {
    [
        ("RateLimit-Limit", "Requests that may come at once."),
        ("RateLimit-Remaining", "Requests that may come now."),
        ("RateLimit-Reset", "Seconds until all may come again."),
    ]
    .into_iter()
    .fold(response, |response, (name, meaning)| {
        response.header(name, header(meaning))
    })
    .build()
}

fn session_id(required: Required) -> Parameter {
    let description = match required {
        Required::True => "Id of the session.",
        Required::False => "Id of the session; absent with `initialize` only.",
    };
    ParameterBuilder::new()
        .name("Mcp-Session-Id")
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(text()))
        .build()
}

fn revision() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(REVISIONS));
    ParameterBuilder::new()
        .name("MCP-Protocol-Version")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Revision that was negotiated; the session's own if absent.",
        ))
        .schema(Some(schema.build()))
        .build()
}

fn text() -> Object {
    Object::with_type(Type::String)
}

fn either(one: &str, other: &str) -> Content {
    let schemas = [one, other].map(Ref::from_schema_name);
    let either = schemas
        .into_iter()
        .fold(OneOfBuilder::new(), OneOfBuilder::item);
    Content::new(Some(Schema::OneOf(either.build())))
}

fn content(schema: &str) -> Content {
    Content::new(Some(Ref::from_schema_name(schema)))
}
