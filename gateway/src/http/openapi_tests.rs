use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::config::Config;
use crate::http::{ErrorCode, router};
use crate::serve::{Addresses, Embedding, Gateway};
use crate::tenants::test_config::NoSecrets;

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// The public surface without any organization.
async fn surface() -> Router {
    let variables = [("AGENTAPI_DATABASE_URL", "sqlite::memory:")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let embedding = Embedding {
        secrets: Arc::new(NoSecrets),
        development: None,
        service_accounts: None,
        processes: false,
    };
    let config = Config::read(variables).unwrap();
    let gateway = Gateway::assemble(config, embedding).await.unwrap();
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let state = gateway.into_state(Addresses {
        public: nowhere,
        admin: nowhere,
    });
    router(state).unwrap()
}

/// The paths of a router. It cannot be asked for them, but shows them.
fn paths(router: &Router) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let quoted = shown.split('"').filter(|text| text.starts_with('/'));
    let own = quoted.filter(|path| *path != "/" && !path.contains("__private"));
    own.map(str::to_owned).collect()
}

/// Whether a route has a method, known by how it refuses somebody without a token.
async fn routed(router: &Router, method: &Method, path: &str) -> bool {
    let path = path.replace(['{', '}'], "x");
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    answer.status() != StatusCode::METHOD_NOT_ALLOWED
}

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

fn each_operation(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let items = document["paths"].as_object().unwrap().iter();
    items.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

#[tokio::test]
async fn routes_and_document_are_the_same() {
    let router = surface().await;
    let mut routes = BTreeSet::new();
    for path in paths(&router) {
        for method in METHODS {
            if routed(&router, &method, &path).await {
                routes.insert(format!("{method} {path}").to_lowercase());
            }
        }
    }
    assert!(
        routes.len() > 10,
        "the router does not show its paths: {routes:?}"
    );
    let document = document();
    let described: BTreeSet<String> = each_operation(&document)
        .map(|(operation, _)| operation.to_lowercase())
        .collect();
    assert_eq!(routes, described, "left: routes, right: docs/openapi.json");
}

#[test]
fn operations_have_names_of_their_own() {
    let mut seen = BTreeSet::new();
    for (operation, described) in each_operation(&document()) {
        let id = described["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "{operation} has no name");
        assert!(
            seen.insert(id.to_owned()),
            "{operation} is called {id}, too"
        );
    }
}

#[test]
fn what_is_referred_to_exists() {
    let document = document();
    let text = document.to_string();
    let references = text.split(r##""$ref":"#"##).skip(1);
    for reference in references.map(|rest| rest.split('"').next().unwrap_or_default()) {
        assert!(
            document.pointer(reference).is_some(),
            "{reference} is missing"
        );
    }
}

#[test]
fn every_refusal_is_a_problem_document() {
    for (operation, described) in each_operation(&document()) {
        for (status, response) in described["responses"].as_object().unwrap() {
            let refused = status.starts_with('4') || status.starts_with('5');
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            let is_problem = problem == "#/components/schemas/ProblemDocument";
            assert_eq!(refused, is_problem, "{operation}: {status}");
        }
    }
}

#[test]
fn every_code_that_an_mcp_endpoint_refuses_with_is_named() {
    let document = document();
    let responses = &document["paths"]["/mcp"]["post"]["responses"];
    for code in [
        ErrorCode::InvalidRequest,
        ErrorCode::Unauthorized,
        ErrorCode::OriginNotAllowed,
        ErrorCode::NotFound,
        ErrorCode::NotAcceptable,
        ErrorCode::PayloadTooLarge,
        ErrorCode::RateLimited,
        ErrorCode::Unavailable,
    ] {
        let response = &responses[code.status().as_str()]["description"];
        let named = response
            .as_str()
            .is_some_and(|text| text.contains(code.name()));
        assert!(named, "{code:?} is not under its status: {response}");
    }
}
