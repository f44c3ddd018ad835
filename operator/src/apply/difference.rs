//! Whether a live object says everything that a manifest says.

use serde_json::Value;

/// Maps whose values are quantities, which the API server rewrites (`1000m` becomes `1`).
const QUANTITY_MAPS: [&str; 7] = [
    "hard",
    "limits",
    "requests",
    "default",
    "defaultRequest",
    "max",
    "min",
];

/// Maps that say more or less with every entry: what others add to one is a
/// difference (a default deny for some pods only denies nothing to the rest).
const SELECTORS: [&str; 3] = ["podSelector", "namespaceSelector", "selector"];

/// Whether every field of `wanted` has the same value in `live`, which may have
/// more of them; lists must have the same length, since most lists are owned
/// whole. Fields named in `except`, at the top only, are not compared.
pub(crate) fn covers(wanted: &Value, live: &Value, except: &[&str]) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted
            .iter()
            .filter(|(name, _)| !except.contains(&name.as_str()))
            .all(|(name, value)| member_covers(name, value, live.get(name))),
        _ => wanted == live,
    }
}

fn member_covers(name: &str, wanted: &Value, live: Option<&Value>) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Some(Value::Object(live))) if SELECTORS.contains(&name) => {
            wanted == live
        }
        // The API server leaves empty maps and lists out.
        (Value::Object(wanted), None) => wanted.is_empty(),
        (Value::Array(wanted), None) => wanted.is_empty(),
        (Value::Null, None) => true,
        (_, None) => false,
        (Value::Object(wanted), Some(Value::Object(live))) if QUANTITY_MAPS.contains(&name) => {
            wanted
                .iter()
                .all(|(key, value)| live.get(key).is_some_and(|live| same_amount(value, live)))
        }
        (Value::Array(wanted), Some(Value::Array(live))) => {
            wanted.len() == live.len()
                && wanted
                    .iter()
                    .zip(live)
                    .all(|(wanted, live)| covers(wanted, live, &[]))
        }
        (wanted, Some(live)) => covers(wanted, live, &[]),
    }
}

fn same_amount(wanted: &Value, live: &Value) -> bool {
    wanted == live
        || match (amount(wanted), amount(live)) {
            (Some(wanted), Some(live)) => (wanted - live).abs() <= wanted.abs() * f64::EPSILON,
            _ => false,
        }
}

/// A quantity as a number; precise enough to tell two amounts apart that anybody writes.
fn amount(value: &Value) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text.as_str(),
        _ => return None,
    };
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    SUFFIXES.iter().find_map(|(suffix, scale)| {
        let number: f64 = text.strip_suffix(suffix)?.parse().ok()?;
        Some(number * scale)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::covers;

    fn same(wanted: Value, live: Value) -> bool {
        covers(&wanted, &live, &[])
    }

    #[test]
    fn fields_of_others_are_no_difference() {
        assert!(same(
            json!({"a": {"b": 1}}),
            json!({"a": {"b": 1, "c": 2}, "d": 3})
        ));
    }

    #[test]
    fn a_changed_field_is_a_difference() {
        assert!(!same(json!({"a": {"b": 1}}), json!({"a": {"b": 2}})));
    }

    #[test]
    fn a_narrowed_selector_is_a_difference() {
        let narrowed = json!({"podSelector": {"matchLabels": {"a": "b"}}});
        assert!(!same(json!({"podSelector": {}}), narrowed));
    }

    #[test]
    fn a_missing_field_is_a_difference() {
        assert!(!same(json!({"a": 1}), json!({})));
    }

    #[test]
    fn a_further_list_element_is_a_difference() {
        assert!(!same(json!({"a": [1]}), json!({"a": [1, 2]})));
    }

    #[test]
    fn empty_maps_may_be_left_out() {
        assert!(same(json!({"podSelector": {}}), json!({})));
    }

    #[test]
    fn quantities_are_compared_as_amounts() {
        let hard = |amount: &str| json!({"hard": {"requests.cpu": amount}});
        assert!(same(hard("1000m"), hard("1")));
        assert!(same(hard("1Gi"), hard("1024Mi")));
        assert!(!same(hard("1000m"), hard("2")));
    }

    #[test]
    fn other_texts_are_not_read_as_amounts() {
        assert!(!same(
            json!({"labels": {"a": "1.0"}}),
            json!({"labels": {"a": "1"}})
        ));
    }
}
