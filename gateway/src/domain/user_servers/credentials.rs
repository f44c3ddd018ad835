//! What authenticates the gateway to a user's own server.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Unfit;

/// Most header fields.
const MOST_HEADERS: usize = 8;
/// Longest name of a header field, in bytes.
const LONGEST_NAME: usize = 128;
/// Longest secret, in bytes.
const LONGEST_SECRET: usize = 8192;
/// The field of a bearer token (RFC 6750, section 2.1).
pub(super) const AUTHORIZATION: &str = "authorization";

/// The fields of the protocol itself; the same as an `McpServer` may not set.
const PROTOCOL: [&str; 11] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "accept",
    "cookie",
];
/// Beginnings of further ones.
const PROTOCOL_PREFIXES: [&str; 2] = ["proxy-", "mcp-"];

/// Secrets as a user gives them.
#[derive(Debug)]
pub enum Credentials {
    /// The server needs none.
    None,
    /// A bearer token.
    Bearer(SecretString),
    /// Header fields by their names.
    Headers(BTreeMap<String, SecretString>),
}

/// What a user has given, without the secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CredentialShape {
    /// Nothing.
    #[default]
    None,
    /// A bearer token.
    Bearer,
    /// Header fields of these names, in lower case.
    Headers(Vec<String>),
}

impl Credentials {
    /// The shape and the text to seal; no text where there is no secret.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn check(self) -> Result<(CredentialShape, Option<SecretString>), Unfit> {
        match self {
            Self::None => Ok((CredentialShape::None, None)),
            Self::Bearer(token) => {
                check_secret("auth.bearer", &token)?;
                let fields = BTreeMap::from([(AUTHORIZATION.to_owned(), token)]);
                Ok((CredentialShape::Bearer, Some(text(&fields))))
            }
            Self::Headers(fields) => {
                let fields = checked(fields)?;
                let names = fields.keys().cloned().collect();
                Ok((CredentialShape::Headers(names), Some(text(&fields))))
            }
        }
    }
}

/// The fields with their names in lower case, in which no two may agree.
fn checked(
    fields: BTreeMap<String, SecretString>,
) -> Result<BTreeMap<String, SecretString>, Unfit> {
    let count = fields.len();
    let mut lower = BTreeMap::new();
    for (name, secret) in fields {
        let own = name.to_ascii_lowercase();
        if !is_field_name(&own) || is_of_protocol(&own) {
            return Err(Unfit::Header(name.chars().take(LONGEST_NAME).collect()));
        }
        check_secret(&format!("auth.headers.{name}"), &secret)?;
        lower.insert(own, secret);
    }
    if lower.len() != count || !(1..=MOST_HEADERS).contains(&count) {
        return Err(Unfit::Headers);
    }
    Ok(lower)
}

/// A token (RFC 9110, section 5.6.2).
fn is_field_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(token)
}

fn is_of_protocol(name: &str) -> bool {
    PROTOCOL.contains(&name)
        || PROTOCOL_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Visible ASCII and blanks (RFC 9110, section 5.5), so that nothing ends the field early.
fn check_secret(whose: &str, secret: &SecretString) -> Result<(), Unfit> {
    let secret = secret.expose_secret();
    let sendable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let fits = (1..=LONGEST_SECRET).contains(&secret.len())
        && secret.bytes().all(sendable)
        && secret.trim() == secret;
    match fits {
        true => Ok(()),
        false => Err(Unfit::Secret(whose.to_owned())),
    }
}

/// The text that is sealed: a JSON object of field names and secrets.
fn text(fields: &BTreeMap<String, SecretString>) -> SecretString {
    let pair = |(name, secret): (&String, &SecretString)| {
        let value = serde_json::Value::from(secret.expose_secret());
        format!("{}:{value}", serde_json::Value::from(name.as_str()))
    };
    let pairs: Vec<String> = fields.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(",")).into()
}

/// The secret of one field in a text that was sealed; nothing if it has none.
pub fn value_of(text: &SecretString, field: &str) -> Option<SecretString> {
    let mut fields: BTreeMap<String, SecretString> =
        serde_json::from_str(text.expose_secret()).ok()?;
    fields.remove(field)
}
