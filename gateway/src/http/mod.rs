//! The HTTP surface: router, middleware, thin handlers, problem documents.
//!
//! A handler extracts, makes one domain call, and responds. Who may reach it is
//! decided before, by its row in the table of `routes`.

mod act;
mod address;
mod api_keys;
mod audit;
mod audit_erasure;
mod audit_export;
mod authenticate;
pub(crate) mod body;
mod browser;
mod connections;
mod dead_letters;
mod denied;
mod idempotency;
mod mcp_server_documents;
mod mcp_server_rules;
mod mcp_server_test;
mod mcp_servers;
mod observe;
mod offboarding;
mod openapi;
mod page;
mod problem;
pub(crate) mod prompts;
mod reference;
pub(crate) mod refusals;
mod request_id;
mod routes;
mod session_events;
mod session_members;
mod sessions;
mod state;
mod streams;
mod under_way;
mod well_known;

use std::any::Any;

use agentapi_crds::tenant_config::RequestClass;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, options};
use http::Method;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::HttpMethod;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::OpenApiRouter;

use self::authenticate::Gate;
use self::routes::{Access, Endpoint, TABLE};
use crate::mcp;
use crate::telemetry::Metrics;

pub use authenticate::RequestContext;
pub(crate) use authenticate::within_mcp_rate;
pub use openapi::openapi;
pub use problem::{ErrorCode, Problem, ProblemDocument};
pub use reference::reference;
pub use request_id::current as current_request_id;
pub use routes::MisdescribedRoute;
pub use state::{AppState, Services};
pub use streams::Streams;

/// The public surface.
///
/// # Errors
/// When a handler is described as another route than its row says.
pub fn router(state: AppState) -> Result<Router, MisdescribedRoute> {
    let mut served = Router::new();
    for endpoint in &TABLE {
        served = served.route(endpoint.path, guarded(endpoint, &state)?);
    }
    for path in mcp_paths() {
        served = served.route(path, of_allowed_pages(options(mcp::preflight), &state));
    }
    // Outermost last: every answer has a request id, also one that a panic made.
    Ok(served
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(state.body_limit))
        .layer(CatchPanicLayer::custom(panicked(state.metrics.clone())))
        .layer(from_fn_with_state(state.clone(), observe::middleware))
        .layer(from_fn(request_id::middleware))
        .with_state(state))
}

/// The handler of a route, behind what its row says who may reach it.
fn guarded(
    endpoint: &Endpoint,
    state: &AppState,
) -> Result<MethodRouter<AppState>, MisdescribedRoute> {
    let handler = endpoint.handler()?;
    let (right, class) = match endpoint.access {
        Access::Public => return Ok(handler),
        Access::Browser => return Ok(handler.route_layer(from_fn(browser::as_page))),
        Access::Needs(right, class) => (right, class),
    };
    let gate = Gate {
        state: state.clone(),
        right,
        class,
    };
    let guarded = handler.route_layer(from_fn_with_state(gate, authenticate::admit));
    if endpoint.has_page {
        return Ok(guarded
            .route_layer(from_fn_with_state(state.clone(), browser::or_page))
            .route_layer(from_fn(browser::as_page)));
    }
    Ok(match class {
        RequestClass::Mcp => of_allowed_pages(guarded, state),
        RequestClass::Api | RequestClass::Models => guarded,
    })
}

/// The paths of the MCP endpoints, each once.
fn mcp_paths() -> impl Iterator<Item = &'static str> {
    let endpoints = TABLE.iter().filter(|endpoint| {
        let is_mcp = matches!(endpoint.access, Access::Needs(_, RequestClass::Mcp));
        is_mcp && endpoint.method == HttpMethod::Post
    });
    endpoints.map(|endpoint| endpoint.path)
}

/// A handler that foreign web pages do not reach.
fn of_allowed_pages(handler: MethodRouter<AppState>, state: &AppState) -> MethodRouter<AppState> {
    handler.route_layer(from_fn_with_state(state.clone(), mcp::check_origin))
}

/// The routes with their descriptions, each with the right that it needs.
fn documented_routes() -> OpenApiRouter<AppState> {
    TABLE.iter().fold(OpenApiRouter::new(), |router, endpoint| {
        let mut described = (endpoint.described)();
        if let Access::Needs(right, _) = endpoint.access {
            let needed = SecurityRequirement::new("bearer", [right.name()]);
            for item in described.1.paths.values_mut() {
                for operation in operations(item) {
                    operation.security = Some(vec![needed.clone()]);
                }
            }
        }
        router.routes(described)
    })
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(
        ErrorCode::MethodNotAllowed,
        format!("the path does not have the method {method}"),
    )
}

/// A panic ends one request, not the gateway.
fn panicked(metrics: Metrics) -> impl Fn(Box<dyn Any + Send>) -> Response + Clone {
    move |panic| {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(message = message.unwrap_or("unknown"), "a request panicked");
        metrics.http_panic();
        Problem::new(ErrorCode::Internal, "the gateway failed").into_response()
    }
}

#[cfg(test)]
mod api_keys_tests;
#[cfg(test)]
mod idempotency_tests;
#[cfg(test)]
mod matrix_tests;
#[cfg(test)]
mod mcp_servers_tests;
#[cfg(test)]
mod session_tests;

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_counted_problem_with_the_requests_id_and_without_its_message() {
        let metrics = Metrics::new();
        let panicking = Router::new()
            .route("/", get(async || -> &'static str { panic!("hunter2") }))
            .layer(CatchPanicLayer::custom(panicked(metrics.clone())))
            .layer(from_fn(request_id::middleware));
        let request = Request::get("/").header("x-request-id", "the-id");
        let answer = panicking
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains(r#""requestId":"the-id""#), "{body}");
        assert!(!body.contains("hunter2"), "{body}");
        let text = metrics.encode().unwrap();
        assert!(text.contains("agentapi_http_panics_total 1"), "{text}");
    }
}
