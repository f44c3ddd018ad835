//! The OpenAPI document, made from the routes.

use axum::Json;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Info, License, OpenApi, Ref, RefOr, Schema};

use super::refusals::{PROBLEM, name_statuses};
use super::{documented_routes, operations};

const JSON: &str = "application/json";

/// Reads this document
#[utoipa::path(
    get, path = "/openapi.json", tag = "document",
    responses((status = 200, description = "The OpenAPI document", body = Object))
)]
pub(super) async fn document() -> Json<OpenApi> {
    Json(openapi())
}

/// The document of the whole public surface.
pub fn openapi() -> OpenApi {
    let mut document = documented_routes().split_for_parts().1;
    document.info = info();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer()));
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            name_by_tag(operation);
            problems_by_their_media_type(operation);
            name_statuses(operation);
        }
    }
    document
}

fn info() -> Info {
    let mut info = Info::new("AgentAPI", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Sessions, federated MCP, prompts and the audit record of an organization. Every answer has the header X-Request-Id.".to_owned(),
    );
    info.license = Some(License::new("Apache-2.0"));
    info
}

fn bearer() -> Http {
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.bearer_format = Some("JWT".to_owned());
    scheme.description = Some("A token of an issuer that the organization trusts.".to_owned());
    scheme
}

/// Handlers are named within their module; the document needs each name once.
fn name_by_tag(operation: &mut Operation) {
    let tag = operation.tags.as_ref().and_then(|tags| tags.first());
    if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}_{id}"));
    }
}

/// What is sent as a problem document is described under its media type.
fn problems_by_their_media_type(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else {
            continue;
        };
        let is_problem = |schema: &RefOr<Schema>| matches!(schema, RefOr::Ref(found) if found.ref_location == problem().ref_location);
        let content = response.content.shift_remove(JSON);
        let Some(content) = content else { continue };
        let media_type = match &content {
            RefOr::T(found) if found.schema.as_ref().is_some_and(is_problem) => PROBLEM,
            _ => JSON,
        };
        response.content.insert(media_type.to_owned(), content);
    }
}

fn problem() -> Ref {
    Ref::from_schema_name("ProblemDocument")
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
