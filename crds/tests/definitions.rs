//! The committed definitions: current, small, described, bounded, and with the
//! columns that tell a resource's story in one line.

// clippy.toml permits these in test functions, not in the helpers of integration tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use agentapi_crds::definition;
use serde_json::Value;

/// Client-side apply fails at 256 KiB, with the annotation it adds.
const MAX_BYTES: usize = 200_000;

fn committed(file: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(definition::DIRECTORY);
    std::fs::read_to_string(folder.join(file)).unwrap_or_else(|error| {
        panic!("{file}: {error}; run `cargo run -p agentapi-crds --bin generate-crds`")
    })
}

/// Path and node of everything in a schema.
fn nodes<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    found.push((path.to_owned(), schema));
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        nodes(&format!("{path}.{name}"), child, found);
    }
    for (keyword, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[keyword].is_object() {
            nodes(&format!("{path}{suffix}"), &schema[keyword], found);
        }
    }
}

/// Paths of the nodes that a test objects to, over all three definitions.
fn offenders(objects: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut offenders = Vec::new();
    for definition in definition::all().unwrap() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let mut found = Vec::new();
        nodes(kind, definition::schema(&definition), &mut found);
        assert!(
            found.len() > 20,
            "the schema of {kind} has only {} nodes",
            found.len()
        );
        let offending = found.into_iter().filter(|(path, node)| objects(path, node));
        offenders.extend(offending.map(|(path, _)| path));
    }
    offenders
}

fn columns(kind: &str, wide: bool) -> Vec<String> {
    let definitions = definition::all().unwrap();
    let definition = definitions
        .iter()
        .find(|it| it["spec"]["names"]["kind"] == kind)
        .unwrap();
    let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap();
    columns
        .iter()
        .filter(|column| (column["priority"] == 1) == wide)
        .map(|column| column["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn committed_definitions_are_those_of_the_types() {
    for (file, content) in definition::files().unwrap() {
        assert!(
            committed(&file) == content,
            "{file} is stale: run `cargo run -p agentapi-crds --bin generate-crds` and commit"
        );
    }
}

#[test]
fn every_definition_is_small_enough_for_client_side_apply() {
    for (file, content) in definition::files().unwrap() {
        assert!(
            content.len() < MAX_BYTES,
            "{file} has {} bytes",
            content.len()
        );
    }
}

#[test]
fn no_definition_holds_what_helm_would_take_for_a_template() {
    for (file, content) in definition::files().unwrap() {
        assert!(!content.contains("{{"), "{file} holds {{{{");
    }
}

#[test]
fn no_definition_holds_what_yaml_1_1_takes_for_a_boolean() {
    for (file, content) in definition::files().unwrap() {
        let plain = content.lines().find(|line| line.ends_with(" Off"));
        assert_eq!(plain, None, "{file} holds an unquoted Off");
    }
}

#[test]
fn every_field_is_described() {
    let undescribed = offenders(|path, node| {
        let item = path.ends_with("[]");
        !item && node["description"].as_str().is_none_or(str::is_empty)
    });
    assert!(
        undescribed.is_empty(),
        "add doc comments for {undescribed:#?}"
    );
}

#[test]
fn every_list_is_bounded() {
    let unbounded = offenders(|_, node| node["type"] == "array" && !node["maxItems"].is_number());
    assert!(unbounded.is_empty(), "add maxItems to {unbounded:#?}");
}

#[test]
fn every_map_is_bounded() {
    let unbounded = offenders(|_, node| {
        node["additionalProperties"].is_object() && !node["maxProperties"].is_number()
    });
    assert!(unbounded.is_empty(), "add maxProperties to {unbounded:#?}");
}

#[test]
fn every_string_is_bounded() {
    let unbounded = offenders(|_, node| {
        let bounded = node["maxLength"].is_number()
            || node["enum"].is_array()
            || node["format"] == "date-time";
        let text = node["type"] == "string" || node["x-kubernetes-int-or-string"] == true;
        text && !bounded
    });
    assert!(unbounded.is_empty(), "add maxLength to {unbounded:#?}");
}

#[test]
fn nothing_is_left_to_be_preserved_unseen() {
    let open = offenders(|_, node| {
        let typed = node["type"].is_string() || node["x-kubernetes-int-or-string"] == true;
        !typed || node["x-kubernetes-preserve-unknown-fields"] == true
    });
    assert!(open.is_empty(), "say what these hold: {open:#?}");
}

#[test]
fn organizations_show_their_columns() {
    let narrow = [
        "READY",
        "REASON",
        "NAMESPACE",
        "SERVERS",
        "SUSPENDED",
        "AGE",
    ];
    assert_eq!(columns("Organization", false), narrow);
    assert_eq!(
        columns("Organization", true),
        ["MESSAGE", "REVISION", "EGRESS"]
    );
}

#[test]
fn servers_show_their_columns() {
    let narrow = ["READY", "REASON", "TYPE", "AUTH", "TOOLS", "PIN", "AGE"];
    assert_eq!(columns("McpServer", false), narrow);
    assert_eq!(columns("McpServer", true), ["MESSAGE", "SCOPE", "MODE"]);
}

#[test]
fn prompt_policies_show_their_columns() {
    let narrow = [
        "READY", "REASON", "PRIORITY", "MERGE", "LOCKED", "MODE", "AGE",
    ];
    assert_eq!(columns("PromptPolicy", false), narrow);
    assert_eq!(columns("PromptPolicy", true), ["MESSAGE"]);
}

#[test]
fn names_are_those_of_the_design() {
    let names = |definition: &Value| {
        let names = &definition["spec"]["names"];
        let short = names["shortNames"][0].as_str().unwrap().to_owned();
        let category = names["categories"][0].as_str().unwrap().to_owned();
        (
            definition["metadata"]["name"].as_str().unwrap().to_owned(),
            short,
            category,
        )
    };
    let definitions = definition::all().unwrap();
    let expected = [
        ("organizations.agentapi.dev", "org"),
        ("mcpservers.agentapi.dev", "mcps"),
        ("promptpolicies.agentapi.dev", "prompt"),
    ]
    .map(|(name, short)| (name.to_owned(), short.to_owned(), "agentapi".to_owned()));
    assert_eq!(definitions.iter().map(names).collect::<Vec<_>>(), expected);
}
