//! Redis or memory: shared state that may be lost.
//!
//! - [`Cache`]: what is shared. [`RedisCache`] shares it between replicas,
//!   [`MemoryCache`] within one.
//! - `connection`, `native`, `rest`: one server, spoken to by Redis's own protocol or
//!   by that of its REST services. Keys, scripts and answers are the same over both.
//! - [`TokenCache`]: sealed credentials in a cache.
//! - [`RedisAnchors`], [`MemoryAnchors`]: the audit record's last checkpoints.

mod anchors;
mod connection;
mod memory;
mod native;
mod redis;
mod rest;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use self::connection::Connection;
use self::native::Native;
use self::rest::Rest;
use crate::audit::Anchors;
use crate::limits::{Level, Rate};
use crate::upstream::TrustError;

pub use self::anchors::{MemoryAnchors, RedisAnchors};
pub use self::memory::MemoryCache;
pub use self::redis::RedisCache;
pub use self::tokens::{TokenCache, TokenCacheError};

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

    /// As [`take`](Cache::take) so many times after each other, in one round trip.
    async fn take_times(&self, buckets: &[Bucket], times: usize) -> Result<Vec<Taken>, CacheError>;

    /// Says that a replica lives, and returns how many have said so within the last
    /// [`REPLICA_LIFETIME_MS`], itself included.
    async fn announce(&self, replica: Uuid) -> Result<u32, CacheError>;

    /// What was set under a key, unless its time is over.
    async fn get(&self, key: &str) -> Result<Option<String>, CacheError>;

    /// Keeps a value for a time, in place of what the key held. It may be lost earlier.
    async fn set(&self, key: &str, value: &str, lifetime: Duration) -> Result<(), CacheError>;

    /// Forgets what was set under a key.
    async fn remove(&self, key: &str) -> Result<(), CacheError>;

    /// One cheap round trip.
    async fn ping(&self) -> Result<(), CacheError>;
}

/// For how many milliseconds a replica counts as living after it said so.
pub const REPLICA_LIFETIME_MS: u32 = 5000;

/// Why the cache could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The server cannot be reached, did not answer in time, or refused a command.
    #[error("Redis is not available")]
    Unavailable(#[from] ::redis::RedisError),
    /// The server answered what this build does not understand.
    #[error("Redis answered what the command does not return")]
    Answer(#[source] ::redis::ParsingError),
    /// The script answered another number of values.
    #[error("Redis answered {0} numbers where the script returns one for each bucket and two more")]
    Count(usize),
    /// The URL cannot be read. Its text is not repeated: it may hold a password.
    #[error(
        "the Redis URL cannot be read: it must be redis://…, rediss://…, or https://:TOKEN@HOST for Redis over REST (http:// only on this machine)"
    )]
    Url,
    /// TLS cannot be set up on this machine.
    #[error(transparent)]
    Tls(#[from] TrustError),
}

/// Opens the cache of a URL, or one in memory, which serves a single replica.
///
/// Does not wait for the server: the gateway starts without it.
///
/// # Errors
/// [`CacheError::Url`] or [`CacheError::Tls`].
pub fn open(url: Option<&SecretString>) -> Result<Arc<dyn Cache>, CacheError> {
    Ok(match url {
        None => Arc::new(MemoryCache::default()),
        Some(url) => Arc::new(RedisCache::open(url)?),
    })
}

/// The anchors of the audit record beside the cache of a URL.
///
/// # Errors
/// As [`open`].
pub fn anchors(url: Option<&SecretString>) -> Result<Arc<dyn Anchors>, CacheError> {
    Ok(match url {
        None => Arc::new(MemoryAnchors::default()),
        Some(url) => Arc::new(RedisAnchors::new(connect(url)?)),
    })
}

/// A way to the server of a URL, which is used when first needed.
fn connect(url: &SecretString) -> Result<Arc<dyn Connection>, CacheError> {
    let url = url.expose_secret();
    Ok(match url.starts_with("http") {
        true => Arc::new(Rest::open(url)?),
        false => Arc::new(Native::open(url)?),
    })
}
