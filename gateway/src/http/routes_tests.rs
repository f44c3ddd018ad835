use std::collections::BTreeSet;

use super::*;
use crate::http::openapi;

impl Endpoint {
    fn name(&self) -> &'static str {
        method_name(&self.method)
    }
}

#[test]
fn a_row_that_its_handler_does_not_describe_itself_as_is_refused() {
    let row = Endpoint::api(
        HttpMethod::Put,
        "/v1/sessions",
        Right::SessionsWrite,
        || routes!(sessions::create),
    );
    let refused = row.handler().map(drop).unwrap_err().to_string();
    assert!(refused.contains("PUT /v1/sessions"), "{refused}");
}

/// Method and path of every row whose handler is documented.
fn documented_rows() -> BTreeSet<(String, String)> {
    let documented = |row: &&Endpoint| matches!(row.handler, Handler::Documented(_));
    let rows = TABLE.iter().filter(documented);
    rows.map(|row| (row.name().to_owned(), row.path.to_owned()))
        .collect()
}

/// Method and path of every operation of an OpenAPI document.
fn operations(document: &serde_json::Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

#[test]
fn every_row_is_in_the_openapi_document_with_its_method_and_path() {
    let document = serde_json::to_value(openapi()).unwrap();
    let missing: Vec<_> = documented_rows()
        .difference(&operations(&document))
        .cloned()
        .collect();
    assert!(
        missing.is_empty(),
        "the utoipa attributes of {missing:?} say otherwise"
    );
}

#[test]
fn every_operation_of_the_openapi_document_is_a_row() {
    let document = serde_json::to_value(openapi()).unwrap();
    let rows: BTreeSet<_> = TABLE
        .iter()
        .map(|row| (row.name().to_owned(), row.path.to_owned()))
        .collect();
    let unknown: Vec<_> = operations(&document).difference(&rows).cloned().collect();
    assert!(
        unknown.is_empty(),
        "{unknown:?} are described, but not served"
    );
}

#[test]
fn no_route_has_two_rows() {
    let mut seen = BTreeSet::new();
    for row in &TABLE {
        assert!(
            seen.insert((row.name(), row.path)),
            "{} {}",
            row.name(),
            row.path
        );
    }
}

#[test]
fn the_document_says_which_right_an_operation_needs() {
    let document = serde_json::to_value(openapi()).unwrap();
    for row in TABLE
        .iter()
        .filter(|row| matches!(row.handler, Handler::Documented(_)))
    {
        let operation = &document["paths"][row.path][row.name().to_lowercase()];
        let expected = match row.access {
            Access::Public => serde_json::Value::Null,
            Access::Needs(right, _) => serde_json::json!([{ "bearer": [right.name()] }]),
        };
        assert_eq!(
            operation["security"],
            expected,
            "{} {}",
            row.name(),
            row.path
        );
    }
}
