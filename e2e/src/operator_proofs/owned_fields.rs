//! The fields that a manager owns, read from an object's managedFields
//! (Kubernetes' `FieldsV1`), and other values for them.

use serde_json::{Map, Value, json};

/// A step from a value to one inside of it.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `f:name`: a member.
    Member(String),
    /// `k:{…}`: the list item with these keys.
    Keyed(Map<String, Value>),
    /// `v:…`: the list item with this value.
    Item(Value),
}

/// A field that a manager owns, without fields of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnedField(Vec<Step>);

/// All leaves that `manager` owns by applying.
pub(crate) fn owned_fields(object: &Value, manager: &str) -> Vec<OwnedField> {
    let entries = object["metadata"]["managedFields"].as_array();
    let ours = entries.into_iter().flatten().filter(|entry| {
        entry["manager"] == manager
            && entry["operation"] == "Apply"
            && entry.get("subresource").is_none()
    });
    let mut fields = Vec::new();
    for entry in ours {
        collect(&entry["fieldsV1"], &mut Vec::new(), &mut fields);
    }
    fields
}

fn collect(node: &Value, path: &mut Vec<Step>, fields: &mut Vec<OwnedField>) {
    let children = node.as_object().into_iter().flatten();
    let mut is_leaf = true;
    for (key, child) in children {
        let Some(step) = step(key) else { continue };
        is_leaf = false;
        path.push(step);
        collect(child, path, fields);
        path.pop();
    }
    if is_leaf && !path.is_empty() {
        fields.push(OwnedField(path.clone()));
    }
}

fn step(key: &str) -> Option<Step> {
    match key.split_once(':')? {
        ("f", name) => Some(Step::Member(name.to_owned())),
        ("k", keys) => serde_json::from_str(keys).ok().map(Step::Keyed),
        ("v", value) => serde_json::from_str(value).ok().map(Step::Item),
        _ => None,
    }
}

impl OwnedField {
    /// Where the field is in this version of the object (RFC 6901); `None` where it is not.
    pub(crate) fn pointer(&self, object: &Value) -> Option<String> {
        let (mut pointer, mut here) = (String::new(), object);
        for step in &self.0 {
            let part = match step {
                Step::Member(name) => {
                    here = here.get(name)?;
                    name.replace('~', "~0").replace('/', "~1")
                }
                Step::Keyed(keys) => {
                    let items = here.as_array()?;
                    let is_it =
                        |item: &Value| keys.iter().all(|(key, value)| item.get(key) == Some(value));
                    let index = items.iter().position(is_it)?;
                    here = items.get(index)?;
                    index.to_string()
                }
                Step::Item(value) => {
                    let items = here.as_array()?;
                    let index = items.iter().position(|item| item == value)?;
                    here = items.get(index)?;
                    index.to_string()
                }
            };
            pointer.push('/');
            pointer.push_str(&part);
        }
        Some(pointer)
    }

    /// The field's value in this version of the object.
    pub(crate) fn value<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        object.pointer(&self.pointer(object)?)
    }

    /// The field as a person would write it.
    pub(crate) fn title(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|step| match step {
                Step::Member(name) => name.clone(),
                Step::Keyed(keys) => format!("[{}]", Value::Object(keys.clone())),
                Step::Item(value) => format!("[={value}]"),
            })
            .collect();
        parts.join(".")
    }

    /// The last part of its name.
    pub(crate) fn last(&self) -> String {
        match self.0.last() {
            Some(Step::Member(name)) => name.clone(),
            _ => String::new(),
        }
    }

    /// Whether it is a label of the object itself.
    pub(crate) fn is_label(&self) -> bool {
        let start = [
            Step::Member("metadata".to_owned()),
            Step::Member("labels".to_owned()),
        ];
        self.0.starts_with(&start)
    }
}

/// JSON patch operations (RFC 6902) that change a field, the plainest first:
/// the API server does not take every value.
pub(crate) fn changes(pointer: &str, value: &Value) -> Vec<Value> {
    let replace = |value: Value| json!([{"op": "replace", "path": pointer, "value": value}]);
    let remove = json!([{"op": "remove", "path": pointer}]);
    let mut changes = match value {
        Value::Bool(is) => vec![replace(json!(!is))],
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or_default();
            vec![replace(json!(number + 1)), replace(json!(number - 1))]
        }
        Value::String(text) => other_texts(text)
            .into_iter()
            .map(|text| replace(json!(text)))
            .collect(),
        Value::Array(items) => {
            let shorter = items.split_last().map(|(_, rest)| rest.to_vec());
            vec![replace(json!(shorter.unwrap_or_default()))]
        }
        Value::Object(_) => vec![
            replace(json!({"matchLabels": {"drift": "drift"}})),
            replace(json!({"drift": "drift"})),
        ],
        Value::Null => Vec::new(),
    };
    changes.push(remove);
    changes
}

/// Other texts of the same kind: words that the API server knows instead of this one, or any.
fn other_texts(text: &str) -> Vec<String> {
    const SIBLINGS: [(&str, &str); 8] = [
        ("TCP", "UDP"),
        ("UDP", "TCP"),
        ("ClusterIP", "NodePort"),
        ("RuntimeDefault", "Unconfined"),
        ("User", "Group"),
        ("ServiceAccount", "User"),
        ("Container", "Pod"),
        ("restricted", "privileged"),
    ];
    let sibling = SIBLINGS.iter().find(|(known, _)| *known == text);
    let sibling = sibling.map(|(_, other)| (*other).to_owned());
    let longer = (!text.contains(char::is_whitespace)).then(|| format!("{text}-drift"));
    sibling
        .into_iter()
        .chain(longer)
        .chain([format!("{text}0"), "7".to_owned(), "drift".to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::owned_fields;

    fn object() -> Value {
        json!({
            "metadata": {"labels": {"a/b": "c"}, "managedFields": [{
                "manager": "me", "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {".": {}, "f:a/b": {}}},
                    "f:spec": {
                        "f:ports": {"k:{\"port\":80}": {".": {}, "f:name": {}, "f:port": {}}},
                        "f:finalizers": {"v:\"x\"": {}},
                    },
                },
            }]},
            "spec": {"ports": [{"port": 81}, {"port": 80, "name": "n"}], "finalizers": ["w", "x"]},
        })
    }

    #[test]
    fn leaves_are_found_where_they_are_in_the_object() {
        let object = object();
        let pointers: Vec<_> = owned_fields(&object, "me")
            .iter()
            .filter_map(|field| field.pointer(&object))
            .collect();
        assert_eq!(
            pointers,
            [
                "/metadata/labels/a~1b",
                "/spec/finalizers/1",
                "/spec/ports/1/name",
                "/spec/ports/1/port"
            ]
        );
    }

    #[test]
    fn fields_of_other_managers_are_not_ours() {
        assert_eq!(owned_fields(&object(), "you"), []);
    }
}
