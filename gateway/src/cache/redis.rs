//! Redis: exact across replicas, because one script on the server's clock decides.

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Script};
use secrecy::{ExposeSecret, SecretString};

use super::{Bucket, Cache, CacheError, Taken};

/// A request must not wait longer than this for the permission to begin.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(500);

/// A Redis server. Reconnects by itself; until then every call fails quickly.
pub struct RedisCache {
    connection: ConnectionManager,
    take: Script,
}

impl RedisCache {
    /// Reads a `redis://` or `rediss://` URL; connects when first used. Needs a Tokio runtime.
    pub fn open(url: &SecretString) -> Result<Self, CacheError> {
        let connection = connect(url)?;
        Ok(Self {
            connection,
            take: Script::new(include_str!("take.lua")),
        })
    }
}

/// A connection that is made when it is first used, and again whenever it is lost.
pub(super) fn connect(url: &SecretString) -> Result<ConnectionManager, CacheError> {
    let client = Client::open(url.expose_secret()).map_err(|_| CacheError::Url)?;
    let configuration = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECTION_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        // The caller has a fallback and asks again later.
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client, configuration).map_err(CacheError::Unavailable)
}

#[async_trait]
impl Cache for RedisCache {
    async fn take(&self, buckets: &[Bucket]) -> Result<Taken, CacheError> {
        let mut call = self.take.prepare_invoke();
        for bucket in buckets {
            call.key(&bucket.key)
                .arg(bucket.rate.interval())
                .arg(bucket.rate.capacity());
        }
        let answer: Vec<i64> = call
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(CacheError::Unavailable)?;
        match answer.as_slice() {
            [allowed, now, arrivals @ ..] if arrivals.len() == buckets.len() => {
                let level =
                    |(bucket, arrival): (&Bucket, &i64)| bucket.rate.level(Some(*arrival), *now);
                Ok(Taken {
                    allowed: *allowed == 1,
                    levels: buckets.iter().zip(arrivals).map(level).collect(),
                })
            }
            other => Err(CacheError::Answer(other.len())),
        }
    }

    async fn ping(&self) -> Result<(), CacheError> {
        redis::cmd("PING")
            .query_async::<String>(&mut self.connection.clone())
            .await
            .map(drop)
            .map_err(CacheError::Unavailable)
    }
}
