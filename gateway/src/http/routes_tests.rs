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
    for row in &TABLE {
        let operation = &document["paths"][row.path][row.name().to_lowercase()];
        let expected = match row.access {
            Access::Public | Access::Browser => serde_json::Value::Null,
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
