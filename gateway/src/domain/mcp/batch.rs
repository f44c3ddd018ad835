//! JSON-RPC batches (JSON-RPC 2.0, section 6). Of the revisions spoken only
//! 2025-03-26 has them.

use serde_json::value::RawValue;

/// The one revision with batches.
pub const BATCH_REVISION: &str = "2025-03-26";

/// The items of an array, each as it was written; nothing if it is no array or an empty one.
pub fn batch_items(text: &str) -> Option<Vec<String>> {
    if !text.trim_ascii_start().starts_with('[') {
        return None;
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let owned = |item: &&RawValue| item.get().to_owned();
    (!items.is_empty()).then(|| items.iter().map(owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_bytes() {
        let items = batch_items(r#" [ {"a": 1.0} , {"b":[ ]}]"#).unwrap();
        assert_eq!(items, [r#"{"a": 1.0}"#, r#"{"b":[ ]}"#]);
    }

    #[test]
    fn what_is_no_batch_has_no_items() {
        for text in ["", "{}", "[]", "[1", "7"] {
            assert!(batch_items(text).is_none(), "{text}");
        }
    }
}
