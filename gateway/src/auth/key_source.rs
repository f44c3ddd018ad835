//! Where the keys of an issuer are fetched.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use super::KeysError;
use super::key_set::KeySet;
use crate::upstream::HttpClient;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_DOCUMENT: usize = 256 * 1024;

/// Fetches keys. [`KeyRing`](super::key_ring::KeyRing) decides when.
#[async_trait]
pub(super) trait KeySource: Send + Sync + 'static {
    /// The keys as they are now.
    async fn fetch(&self) -> Result<KeySet, KeysError>;
}

/// The documents that an issuer publishes on the web.
pub(super) struct IssuerDocuments {
    pub(super) issuer: String,
    /// Where the key set is, unless the discovery document is to be asked.
    pub(super) jwks_uri: Option<String>,
    pub(super) http: HttpClient,
}

#[async_trait]
impl KeySource for IssuerDocuments {
    async fn fetch(&self) -> Result<KeySet, KeysError> {
        let url = match &self.jwks_uri {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let document = self.document("the key set", &url).await?;
        KeySet::read(&document).map_err(|error| unreadable("the key set", &url, error))
    }
}

impl IssuerDocuments {
    /// OpenID Connect Discovery 1.0, section 4.
    async fn discover(&self) -> Result<String, KeysError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let url = format!(
            "{}/.well-known/openid-configuration",
            self.issuer.trim_end_matches('/')
        );
        let document = self.document("the discovery document", &url).await?;
        let metadata: Metadata = serde_json::from_slice(&document)
            .map_err(|error| unreadable("the discovery document", &url, error))?;
        if metadata.issuer != self.issuer {
            return Err(KeysError::AnotherIssuer {
                expected: self.issuer.clone(),
                found: metadata.issuer,
            });
        }
        Ok(metadata.jwks_uri)
    }

    async fn document(&self, what: &'static str, url: &str) -> Result<bytes::Bytes, KeysError> {
        let document = self.http.get(url, MAX_DOCUMENT, FETCH_TIMEOUT).await;
        document.map_err(|error| {
            tracing::warn!(issuer = self.issuer, url, %error, "{what} cannot be fetched");
            KeysError::Fetch {
                what,
                url: url.to_owned(),
                source: Arc::new(error),
            }
        })
    }
}

fn unreadable(what: &'static str, url: &str, error: serde_json::Error) -> KeysError {
    KeysError::Read {
        what,
        url: url.to_owned(),
        source: Arc::new(error),
    }
}
