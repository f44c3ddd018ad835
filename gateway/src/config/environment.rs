//! The overlay: `AGENTAPI_…` variables, none of which may be misspelt.

use figment::Figment;
use figment::providers::Serialized;
use figment::value::Dict;

const PREFIX: &str = "AGENTAPI_";

/// Variables with our prefix that other programs of the platform read.
const READ_BY_OTHERS: [&str; 3] = ["MIGRATION_URL", "STATE_DIR", "BRIDGE_JWKS"];
/// Prefixes of variables for the platform's own tests.
const FOR_TESTS: [&str; 2] = ["TEST_", "UPDATE_"];

/// A variable of ours that nobody reads.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name} is not known: {}", advice(.nearest.as_deref()))]
pub struct UnknownVariable {
    /// The variable found.
    pub name: String,
    /// The known variable that it resembles most.
    pub nearest: Option<String>,
}

fn advice(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "remove it; config/gateway.toml lists all that there are".to_owned(),
    }
}

/// The environment variable that sets a field.
pub(super) fn variable(field: &str) -> String {
    format!("{PREFIX}{}", field.to_ascii_uppercase())
}

/// The keys of the defaults.
pub(super) fn keys(defaults: &Figment) -> Result<Vec<String>, Box<figment::Error>> {
    let keys: Dict = defaults.extract().map_err(Box::new)?;
    Ok(keys.into_keys().collect())
}

/// The variables that set one of `keys`, as text.
pub(super) fn overlay(
    variables: impl IntoIterator<Item = (String, String)>,
    keys: &[String],
) -> Result<Serialized<Dict>, UnknownVariable> {
    let mut overlay = Dict::new();
    for (name, value) in variables {
        let Some(suffix) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let key = suffix.to_ascii_lowercase();
        if keys.contains(&key) {
            overlay.insert(key, value.into());
        } else if !is_anothers(suffix) {
            let nearest = nearest(&key, keys).map(variable);
            return Err(UnknownVariable { name, nearest });
        }
    }
    Ok(Serialized::defaults(overlay))
}

fn is_anothers(suffix: &str) -> bool {
    READ_BY_OTHERS.contains(&suffix)
        || FOR_TESTS.iter().any(|prefix| suffix.starts_with(prefix))
        || is_service_link(suffix)
}

/// Kubernetes describes every Service of the namespace in each container's
/// environment; one of ours is called `agentapi-…`.
fn is_service_link(suffix: &str) -> bool {
    let named = format!("_{suffix}");
    named.ends_with("_PORT")
        || ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_UDP"]
            .iter()
            .any(|part| named.contains(part))
}

fn nearest<'a>(key: &str, keys: &'a [String]) -> Option<&'a str> {
    let candidates = keys.iter().map(|known| (edits(key, known), known.as_str()));
    let (distance, known) = candidates.min()?;
    (distance <= 1 + key.len() / 4).then_some(known)
}

/// Levenshtein distance, by bytes.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
