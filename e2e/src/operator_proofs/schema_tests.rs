use serde_json::{Value, json};

use super::{Examples, Field, fields};

fn schema() -> Value {
    json!({
        "type": "object",
        "x-kubernetes-validations": [{"rule": "self.id == oldSelf.id"}],
        "properties": {
            "id": {"type": "string"},
            "list": {"type": "array", "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "mode": {"type": "string", "enum": ["On", "Off"], "default": "On"},
                },
            }},
        },
    })
}

fn field(path: &str) -> Field {
    let all = fields(&schema());
    all.into_iter().find(|field| field.path() == path).unwrap()
}

fn none() -> Examples {
    serde_json::from_value(json!({"bases": {}, "values": {}})).unwrap()
}

#[test]
fn fields_are_found_at_every_depth() {
    let paths: Vec<_> = fields(&schema()).iter().map(Field::path).collect();
    assert_eq!(paths, ["id", "list[].mode", "list[].name"]);
}

#[test]
fn a_field_comes_with_what_is_required_beside_it() {
    let spec = field("list[].mode")
        .spec_with(&json!("Off"), &none())
        .unwrap();
    assert_eq!(spec, json!({"list": [{"name": "one", "mode": "Off"}]}));
}

#[test]
fn a_field_is_left_out_alone_first_and_then_with_what_holds_it() {
    let spec = json!({"list": [{"name": "one", "mode": "Off"}]});
    let without = field("list[].mode").specs_without(&spec);
    assert_eq!(without, [json!({"list": [{"name": "one"}]}), json!({})]);
}

#[test]
fn the_default_is_the_last_value_chosen() {
    let values = field("list[].mode").values(&none()).unwrap();
    assert_eq!(values, [json!("Off"), json!("On")]);
}

#[test]
fn a_field_that_a_rule_compares_with_its_old_value_is_immutable() {
    assert!(field("id").is_immutable() && !field("list[].mode").is_immutable());
}

#[test]
fn a_field_whose_type_is_unknown_has_no_value() {
    let unknown = fields(&json!({"properties": {"x": {}}}));
    assert!(unknown[0].values(&none()).is_err());
}
