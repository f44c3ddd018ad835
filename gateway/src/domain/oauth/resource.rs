//! What an MCP server says of whom it trusts (RFC 9728).

use serde::Deserialize;

use super::metadata::MetadataError;

/// The part of a protected resource's metadata that matters here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProtectedResource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
}

impl ProtectedResource {
    /// Reads a document that was found for `resource`.
    ///
    /// # Errors
    /// See [`MetadataError`].
    pub fn read(document: &[u8], resource: &str) -> Result<Self, MetadataError> {
        let document: Self = serde_json::from_slice(document)?;
        // A URL without a path is the same with a slash (RFC 3986, section 6.2.3).
        let same =
            |one: &str, other: &str| one.trim_end_matches('/') == other.trim_end_matches('/');
        if !same(&document.resource, resource) {
            return Err(MetadataError::AnotherResource {
                expected: resource.to_owned(),
                found: document.resource,
            });
        }
        Ok(document)
    }

    /// The authorization server to use: the configured one, if the resource names it; otherwise its first.
    ///
    /// # Errors
    /// [`MetadataError::NoAuthorizationServer`].
    pub fn authorization_server(&self, configured: Option<&str>) -> Result<&str, MetadataError> {
        let named = self.authorization_servers.iter().map(String::as_str);
        let chosen = match configured {
            Some(issuer) => named.clone().find(|named| *named == issuer),
            None => named.clone().next(),
        };
        chosen.ok_or(MetadataError::NoAuthorizationServer)
    }
}
