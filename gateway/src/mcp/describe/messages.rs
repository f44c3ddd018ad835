//! JSON-RPC messages as schemas (JSON-RPC 2.0, sections 4 and 5; MCP 2025-11-25,
//! Overview, "Messages").

use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::text;
use crate::domain::mcp::RpcError;

type Named = (String, RefOr<Schema>);

/// All schemas, by name.
pub(in crate::mcp) fn schemas() -> Vec<Named> {
    let id = || {
        let number = ObjectBuilder::new().schema_type(Type::Integer).build();
        let either = OneOfBuilder::new().item(text()).item(number);
        Schema::OneOf(
            either
                .description(Some("A string or an integer, never null."))
                .build(),
        )
    };
    let message = || {
        let version = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["2.0"]));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("jsonrpc", version.build())
            .required("jsonrpc")
    };
    let object = || ObjectBuilder::new().schema_type(Type::Object).build();
    let request = message()
        .property("id", id())
        .required("id")
        .property("method", text())
        .required("method")
        .property("params", object());
    let notification = message()
        .property("method", text())
        .required("method")
        .property("params", object());
    let error_of = |message: ObjectBuilder| {
        message
            .property("error", Ref::from_schema_name(RpcError::name()))
            .required("error")
    };
    let result = message()
        .property("id", id())
        .required("id")
        .property("result", object())
        .required("result");
    let unread = ObjectBuilder::new().schema_type(Type::Null).build();
    let asked = OneOfBuilder::new().item(id()).item(unread);
    let asked = asked.description(Some("The request's id; null where none could be read."));
    let error = error_of(message()).property("id", Schema::OneOf(asked.build()));
    let one_of = |names: &[&str]| {
        let items = names.iter().map(|name| Ref::from_schema_name(*name));
        Schema::OneOf(items.fold(OneOfBuilder::new(), OneOfBuilder::item).build())
    };
    let response = one_of(&["JsonRpcResult", "JsonRpcError"]);
    let message_of = one_of(&["JsonRpcRequest", "JsonRpcNotification", "JsonRpcResponse"]);
    let batch_of = |name| {
        let items = Ref::from_schema_name(name);
        let batch = ArrayBuilder::new().items(items).min_items(Some(1));
        Schema::Array(batch.build())
    };
    let named = |name: &str, schema: RefOr<Schema>| (name.to_owned(), schema);
    vec![
        named("JsonRpcRequest", request.build().into()),
        named("JsonRpcNotification", notification.build().into()),
        named("JsonRpcResult", result.build().into()),
        named("JsonRpcError", error.build().into()),
        named("JsonRpcResponse", response.into()),
        named("JsonRpcMessage", message_of.into()),
        named("JsonRpcBatch", batch_of("JsonRpcMessage").into()),
        named("JsonRpcBatchResponse", batch_of("JsonRpcResponse").into()),
        named(&RpcError::name(), RpcError::schema()),
    ]
}
