//! The keys of one issuer over time: fetched once for all who wait, kept
//! through outages, fetched again for an unknown `kid` at most once a minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::IssuerKeys;
use arc_swap::ArcSwapOption;
use jsonwebtoken::Algorithm;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::AuthError;
use super::key_set::KeySet;
use super::key_source::{IssuerDocuments, KeySource};
use crate::upstream::{HttpClient, HttpError};

/// When keys are fetched again, and how long they are believed.
#[derive(Clone, Copy)]
struct Ages {
    /// Age at which keys are fetched again although all tokens verify: a removed key is noticed then.
    refresh: Duration,
    /// Age at which keys that could not be fetched again are no longer used.
    most: Duration,
    /// Least time between two fetches for unknown keys, or after a failure.
    interval: Duration,
    /// Least time between two fetches while there are no keys at all: nobody is let in until then.
    first_interval: Duration,
}

const AGES: Ages = Ages {
    refresh: Duration::from_secs(10 * 60),
    most: Duration::from_secs(24 * 60 * 60),
    interval: Duration::from_secs(60),
    first_interval: Duration::from_secs(1),
};

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
    /// The API server does not give its keys.
    #[error("{path} of the API server cannot be read")]
    ApiServer {
        /// What was asked for.
        path: &'static str,
        /// Why not.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A fetch failed a moment ago.
    #[error("the keys could not be fetched a moment ago")]
    Waiting,
    /// The fetch did not end: the gateway is shutting down.
    #[error("the keys were not fetched to the end")]
    Interrupted,
}

struct Fetched {
    keys: KeySet,
    at: Instant,
}

/// Whether an issuer's keys are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysState {
    /// They are.
    Usable,
    /// Nobody has needed them yet.
    Unused,
    /// They were fetched for in vain.
    Missing,
}

/// The keys of one issuer of one organization.
#[derive(Clone)]
pub(super) struct KeyRing(Arc<Ring>);

struct Ring {
    ages: Ages,
    /// Where keys are fetched; nowhere where they are inline.
    source: Option<Arc<dyn KeySource>>,
    current: ArcSwapOption<Fetched>,
    /// When the last fetch began. Held while fetching, so that everybody waits for one.
    fetching: Arc<Mutex<Option<Instant>>>,
}

impl KeyRing {
    /// A ring; inline keys are there at once, others when they are first needed.
    pub(super) fn new(
        issuer: &str,
        source: &IssuerKeys,
        http: HttpClient,
    ) -> Result<Self, serde_json::Error> {
        let jwks_uri = match source {
            IssuerKeys::Inline(document) => return Self::inline(document),
            IssuerKeys::JwksUri(uri) => Some(uri.clone()),
            IssuerKeys::Discovery => None,
        };
        Ok(Self::of(Arc::new(IssuerDocuments {
            issuer: issuer.to_owned(),
            jwks_uri,
            http,
        })))
    }

    /// A ring whose keys are fetched from `source` when they are first needed.
    pub(super) fn of(source: Arc<dyn KeySource>) -> Self {
        Self::aging(source, AGES)
    }

    fn aging(source: Arc<dyn KeySource>, ages: Ages) -> Self {
        Self(Arc::new(Ring {
            ages,
            source: Some(source),
            current: ArcSwapOption::empty(),
            fetching: Arc::default(),
        }))
    }

    fn inline(document: &str) -> Result<Self, serde_json::Error> {
        let fetched = Fetched {
            keys: KeySet::read(document.as_bytes())?,
            at: Instant::now(),
        };
        Ok(Self(Arc::new(Ring {
            ages: AGES,
            source: None,
            current: ArcSwapOption::from_pointee(fetched),
            fetching: Arc::default(),
        })))
    }

    /// Fetches the keys unless they are at hand.
    pub(super) async fn ensure(&self) -> Result<(), KeysError> {
        match self.0.usable() {
            Some(_) => Ok(()),
            None => self.0.refetch(None).await.map(drop),
        }
    }

    /// Runs `verify` with the key set that has a key for the token's header.
    pub(super) async fn with_keys<T>(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        verify: impl FnOnce(&KeySet) -> Result<T, AuthError>,
    ) -> Result<T, AuthError> {
        let current = self.0.usable();
        if let Some(fetched) = &current {
            // A key of that name which is for another algorithm is no reason to fetch.
            if !matches!(fetched.keys.find(id, algorithm), Err(AuthError::UnknownKey)) {
                self.0.refresh_in_background(fetched);
                return verify(&fetched.keys);
            }
        }
        match self.0.refetch(current.as_ref()).await {
            Ok(fetched) => verify(&fetched.keys),
            // The issuer is away: the keys it had still count for a while.
            Err(error) => match current {
                Some(fetched) => verify(&fetched.keys),
                None => Err(AuthError::Keys(error)),
            },
        }
    }

    /// Whether there are keys.
    pub(super) fn state(&self) -> KeysState {
        if self.0.usable().is_some() {
            return KeysState::Usable;
        }
        // Whoever holds the lock fetches just now.
        let last = self.0.fetching.try_lock();
        match last {
            Ok(last) if last.is_some() => KeysState::Missing,
            _ => KeysState::Unused,
        }
    }

    /// Whether a key that verified a token is still in the ring.
    pub(super) fn holds(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.0
            .current
            .load()
            .as_ref()
            .is_some_and(|fetched| fetched.keys.holds(id, algorithm))
    }
}

impl Ring {
    fn is_inline(&self) -> bool {
        self.source.is_none()
    }

    /// The keys at hand, unless they are too old to be believed.
    fn usable(&self) -> Option<Arc<Fetched>> {
        let current = self.current.load_full()?;
        (self.is_inline() || current.at.elapsed() < self.ages.most).then_some(current)
    }

    /// Fetches keys that are getting old, while nobody waits for it.
    fn refresh_in_background(self: &Arc<Self>, seen: &Arc<Fetched>) {
        if self.is_inline() || seen.at.elapsed() < self.ages.refresh {
            return;
        }
        if let Ok(last) = self.fetching.clone().try_lock_owned()
            && !self.is_too_soon(&last)
        {
            drop(tokio::spawn(self.clone().fetch_holding(last)));
        }
    }

    /// Newer keys than `seen`, by one fetch for all who ask meanwhile.
    async fn refetch(
        self: &Arc<Self>,
        seen: Option<&Arc<Fetched>>,
    ) -> Result<Arc<Fetched>, KeysError> {
        if self.is_inline() {
            return Err(KeysError::Waiting);
        }
        let last = self.fetching.clone().lock_owned().await;
        let newer = |fetched: &Arc<Fetched>| seen.is_none_or(|seen| !Arc::ptr_eq(seen, fetched));
        if let Some(fetched) = self.usable().filter(newer) {
            return Ok(fetched);
        }
        if self.is_too_soon(&last) {
            return Err(KeysError::Waiting);
        }
        // A task of its own: a caller who hangs up must not end it for the others.
        let fetching = tokio::spawn(self.clone().fetch_holding(last));
        fetching.await.map_err(|_| KeysError::Interrupted)?
    }

    fn is_too_soon(&self, last: &Option<Instant>) -> bool {
        let interval = match self.usable() {
            Some(_) => self.ages.interval,
            None => self.ages.first_interval,
        };
        last.is_some_and(|last| last.elapsed() < interval)
    }

    async fn fetch_holding(
        self: Arc<Self>,
        mut last: OwnedMutexGuard<Option<Instant>>,
    ) -> Result<Arc<Fetched>, KeysError> {
        let source = self.source.as_ref().ok_or(KeysError::Waiting)?;
        *last = Some(Instant::now());
        let fetched = Arc::new(Fetched {
            keys: source.fetch().await?,
            at: Instant::now(),
        });
        self.current.store(Some(fetched.clone()));
        Ok(fetched)
    }
}

#[cfg(test)]
#[path = "key_ring_tests.rs"]
mod tests;
