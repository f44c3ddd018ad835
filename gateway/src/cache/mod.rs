//! Redis or memory: shared state that may be lost.

mod anchors;
mod memory;
mod redis;

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

pub use self::anchors::{MemoryAnchors, RedisAnchors};
pub use self::memory::MemoryCache;
pub use self::redis::RedisCache;
use crate::audit::Anchors;
use crate::limits::{Level, Rate};

/// A bucket of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name among all buckets of the installation.
    pub key: String,
    /// How fast it fills, and how much it holds.
    pub rate: Rate,
}

/// What came of taking a request from buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether every bucket had one.
    pub allowed: bool,
    /// What is left, in the order of the buckets.
    pub levels: Vec<Level>,
}

/// State that all replicas share.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// Takes one request from every bucket, or from none if any is empty: one
    /// atomic step, one round trip.
    async fn take(&self, buckets: &[Bucket]) -> Result<Taken, CacheError>;

    /// One cheap round trip.
    async fn ping(&self) -> Result<(), CacheError>;
}

/// Why the cache could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The server cannot be reached, or did not answer in time.
    #[error("Redis is not available")]
    Unavailable(#[source] ::redis::RedisError),
    /// The server answered what this build does not understand.
    #[error("Redis answered {0} numbers where the script returns one for each bucket and two more")]
    Answer(usize),
    /// The URL cannot be read. Its text is not repeated: it may hold a password.
    #[error("the Redis URL cannot be read: it must be redis://… or rediss://…")]
    Url,
    /// A URL of the REST protocol.
    #[error("Redis over REST (https://…) is not supported yet: use redis:// or rediss://")]
    RestNotSupported,
}

/// Opens the cache of a URL, or one in memory, which serves a single replica.
///
/// Does not wait for the server: the gateway starts without it.
pub fn open(url: Option<&SecretString>) -> Result<Arc<dyn Cache>, CacheError> {
    match url {
        None => Ok(Arc::new(MemoryCache::default())),
        Some(url) if url.expose_secret().starts_with("https://") => {
            Err(CacheError::RestNotSupported)
        }
        Some(url) => Ok(Arc::new(RedisCache::open(url)?)),
    }
}

/// The anchors of the audit record beside the cache of a URL.
///
/// # Errors
/// As [`open`].
pub fn anchors(url: Option<&SecretString>) -> Result<Arc<dyn Anchors>, CacheError> {
    match url {
        None => Ok(Arc::new(MemoryAnchors::default())),
        Some(url) if url.expose_secret().starts_with("https://") => {
            Err(CacheError::RestNotSupported)
        }
        Some(url) => Ok(Arc::new(RedisAnchors::new(redis::connect(url)?))),
    }
}
