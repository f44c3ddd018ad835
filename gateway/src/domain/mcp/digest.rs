//! What a tool is known by: a digest of everything that a model is shown of it.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

/// SHA-256 of a tool's whole definition and its server's instructions, as
/// `sha256:` and 64 hexadecimal digits. The order of members does not matter.
pub fn tool_digest(tool: &Value, instructions: Option<&str>) -> String {
    let mut text = String::from("[");
    write(&mut text, tool);
    text.push(',');
    write(&mut text, &instructions.map_or(Value::Null, Value::from));
    text.push(']');
    format!("sha256:{}", hex::encode(digest(&SHA256, text.as_bytes())))
}

/// JSON with the members of every object in the order of their names.
fn write(text: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(text, member);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(text, item);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_members_does_not_matter() {
        let one: Value =
            serde_json::from_str(r#"{"name":"a","inputSchema":{"x":1,"y":[1,2]}}"#).unwrap();
        let other: Value =
            serde_json::from_str(r#"{"inputSchema":{"y":[1,2],"x":1},"name":"a"}"#).unwrap();
        assert_eq!(tool_digest(&one, None), tool_digest(&other, None));
    }

    #[test]
    fn every_member_and_the_instructions_matter() {
        let tool = json!({ "name": "a", "description": "b", "_meta": { "c": [1, 2] } });
        let before = tool_digest(&tool, Some("be kind"));
        for changed in [
            json!({ "name": "z", "description": "b", "_meta": { "c": [1, 2] } }),
            json!({ "name": "a", "description": "z", "_meta": { "c": [1, 2] } }),
            json!({ "name": "a", "description": "b", "_meta": { "c": [2, 1] } }),
            json!({ "name": "a", "description": "b", "_meta": { "c": [1, 2] }, "title": "new" }),
        ] {
            assert_ne!(tool_digest(&changed, Some("be kind")), before, "{changed}");
        }
        assert_ne!(tool_digest(&tool, None), before);
        assert_ne!(tool_digest(&tool, Some("be cruel")), before);
    }

    #[test]
    fn a_digest_has_the_form_that_the_schema_asks_for() {
        let digest = tool_digest(&json!({}), None);
        let digits = digest.strip_prefix("sha256:").unwrap();
        assert!(digits.len() == 64 && digits.chars().all(|digit| digit.is_ascii_hexdigit()));
    }
}
