//! The keys of one issuer over time: fetched once for all who wait, kept
//! through outages, fetched again for an unknown `kid` at most once a minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::IssuerKeys;
use arc_swap::ArcSwapOption;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::AuthError;
use super::key_set::KeySet;
use crate::upstream::{HttpClient, HttpError};

/// Age at which keys are fetched again although all tokens verify: a removed key is noticed then.
const REFRESH: Duration = Duration::from_secs(10 * 60);
/// Age at which keys that could not be fetched again are no longer used.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Least time between two fetches for unknown keys, or after a failure.
const INTERVAL: Duration = Duration::from_secs(60);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_DOCUMENT: usize = 256 * 1024;

/// Why an issuer's keys cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeysError {
    /// A document could not be fetched.
    #[error("{what} at {url} cannot be fetched")]
    Fetch {
        /// Which document.
        what: &'static str,
        /// Where it should be.
        url: String,
        /// Why not.
        #[source]
        source: Arc<HttpError>,
    },
    /// A document is not what it should be.
    #[error("{what} at {url} cannot be read")]
    Read {
        /// Which document.
        what: &'static str,
        /// Where it is.
        url: String,
        /// Why not.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The discovery document is another issuer's (RFC 8414, 3.3).
    #[error("the discovery document of {expected} names the issuer {found}")]
    AnotherIssuer {
        /// Issuer that was asked for.
        expected: String,
        /// Issuer that the document names.
        found: String,
    },
    /// A fetch failed less than a minute ago.
    #[error("the keys could not be fetched a moment ago")]
    Waiting,
}

struct Fetched {
    keys: KeySet,
    at: Instant,
}

/// The keys of one issuer of one organization.
pub(super) struct KeyRing {
    issuer: String,
    source: IssuerKeys,
    http: HttpClient,
    current: ArcSwapOption<Fetched>,
    /// When the last fetch began. Held while fetching, so that everybody waits for one.
    fetching: Mutex<Option<Instant>>,
}

impl KeyRing {
    /// A ring; inline keys are there at once, others when they are first needed.
    pub(super) fn new(
        issuer: &str,
        source: &IssuerKeys,
        http: HttpClient,
    ) -> Result<Self, serde_json::Error> {
        let current = ArcSwapOption::empty();
        if let IssuerKeys::Inline(document) = source {
            let keys = KeySet::read(document.as_bytes())?;
            current.store(Some(Arc::new(Fetched {
                keys,
                at: Instant::now(),
            })));
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            source: source.clone(),
            http,
            current,
            fetching: Mutex::new(None),
        })
    }

    /// Runs `verify` with the key set that has a key for the token's header.
    pub(super) async fn with_keys<T>(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        verify: impl FnOnce(&KeySet) -> Result<T, AuthError>,
    ) -> Result<T, AuthError> {
        let current = self.current.load_full();
        if let Some(fetched) = &current {
            let fresh =
                matches!(self.source, IssuerKeys::Inline(_)) || fetched.at.elapsed() < REFRESH;
            // A key of that name which is for another algorithm is no reason to fetch.
            if fresh && !matches!(fetched.keys.find(id, algorithm), Err(AuthError::UnknownKey)) {
                return verify(&fetched.keys);
            }
        }
        match self.refetch(current.as_ref()).await {
            Ok(fetched) => verify(&fetched.keys),
            // The issuer is away: the keys it had still count for a while.
            Err(error) => match current.filter(|fetched| fetched.at.elapsed() < MAX_AGE) {
                Some(fetched) => verify(&fetched.keys),
                None => Err(AuthError::Keys(error)),
            },
        }
    }

    /// Whether a key that verified a token is still in the ring.
    pub(super) fn holds(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.current
            .load()
            .as_ref()
            .is_some_and(|fetched| fetched.keys.holds(id, algorithm))
    }

    /// Newer keys than `seen`, by one fetch for all who ask meanwhile.
    async fn refetch(&self, seen: Option<&Arc<Fetched>>) -> Result<Arc<Fetched>, KeysError> {
        let mut last = self.fetching.lock().await;
        let current = self.current.load_full();
        let newer = |fetched: &Arc<Fetched>| seen.is_none_or(|seen| !Arc::ptr_eq(seen, fetched));
        if let Some(fetched) = current.filter(newer) {
            return Ok(fetched);
        }
        if matches!(self.source, IssuerKeys::Inline(_))
            || last.is_some_and(|last| last.elapsed() < INTERVAL)
        {
            return Err(KeysError::Waiting);
        }
        *last = Some(Instant::now());
        let fetched = Arc::new(Fetched {
            keys: self.fetch().await?,
            at: Instant::now(),
        });
        self.current.store(Some(fetched.clone()));
        Ok(fetched)
    }

    async fn fetch(&self) -> Result<KeySet, KeysError> {
        let url = match &self.source {
            IssuerKeys::JwksUri(url) => url.clone(),
            IssuerKeys::Discovery => self.discover().await?,
            IssuerKeys::Inline(_) => return Err(KeysError::Waiting),
        };
        let document = self.document("the key set", &url).await?;
        KeySet::read(&document).map_err(|error| unreadable("the key set", &url, error))
    }

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
