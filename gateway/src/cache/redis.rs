//! Redis: exact across replicas, because one script on the server's clock decides.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, Value};
use secrecy::SecretString;
use uuid::Uuid;

use super::connection::{Connection, Script};
use super::{Bucket, Cache, CacheError, REPLICA_LIFETIME_MS, Taken, connect};

/// Where replicas say that they live.
const REPLICAS: &str = "agentapi:replicas";

/// A Redis server, over its own protocol or over REST. Reconnects by itself; until
/// then every call fails quickly.
pub struct RedisCache {
    connection: Arc<dyn Connection>,
    take: Script,
    announce: Script,
}

impl RedisCache {
    /// Reads a `redis://`, `rediss://` or `https://` URL; connects when first used. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`CacheError::Url`] or [`CacheError::Tls`].
    pub fn open(url: &SecretString) -> Result<Self, CacheError> {
        Ok(Self {
            connection: connect(url)?,
            take: Script::new(include_str!("take.lua")),
            announce: Script::new(include_str!("replicas.lua")),
        })
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn take(&self, buckets: &[Bucket]) -> Result<Taken, CacheError> {
        let fill = |call: &mut Cmd| fill(call, buckets);
        taken(self.take.call(&*self.connection, fill).await?, buckets)
    }

    async fn take_times(&self, buckets: &[Bucket], times: usize) -> Result<Vec<Taken>, CacheError> {
        let calls = vec![|call: &mut Cmd| fill(call, buckets); times];
        let answers = self.take.call_all(&*self.connection, &calls).await?;
        let answers = answers.into_iter();
        answers.map(|answer| taken(answer, buckets)).collect()
    }

    async fn announce(&self, replica: Uuid) -> Result<u32, CacheError> {
        let replica = replica.to_string();
        let counted = self.announce.call(&*self.connection, |call| {
            call.arg(1).arg(REPLICAS);
            call.arg(&replica).arg(REPLICA_LIFETIME_MS);
        });
        FromRedisValue::from_redis_value(counted.await?).map_err(CacheError::Answer)
    }

    async fn get(&self, key: &str) -> Result<Option<String>, CacheError> {
        let mut get = redis::cmd("GET");
        get.arg(key);
        let value = self.connection.run(&get).await?;
        FromRedisValue::from_redis_value(value).map_err(CacheError::Answer)
    }

    async fn set(&self, key: &str, value: &str, lifetime: Duration) -> Result<(), CacheError> {
        let milliseconds = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("PX").arg(milliseconds.max(1));
        self.connection.run(&set).await?;
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<(), CacheError> {
        let mut remove = redis::cmd("DEL");
        remove.arg(key);
        self.connection.run(&remove).await?;
        Ok(())
    }

    async fn ping(&self) -> Result<(), CacheError> {
        self.connection.run(&redis::cmd("PING")).await?;
        Ok(())
    }
}

/// What `take.lua` is called with.
fn fill(call: &mut Cmd, buckets: &[Bucket]) {
    call.arg(buckets.len());
    for bucket in buckets {
        call.arg(&bucket.key);
    }
    for bucket in buckets {
        call.arg(bucket.rate.interval()).arg(bucket.rate.capacity());
    }
}

/// What `take.lua` returned.
fn taken(answer: Value, buckets: &[Bucket]) -> Result<Taken, CacheError> {
    let answer: Vec<i64> = FromRedisValue::from_redis_value(answer).map_err(CacheError::Answer)?;
    match answer.as_slice() {
        [allowed, now, arrivals @ ..] if arrivals.len() == buckets.len() => {
            let level =
                |(bucket, arrival): (&Bucket, &i64)| bucket.rate.level(Some(*arrival), *now);
            Ok(Taken {
                allowed: *allowed == 1,
                levels: buckets.iter().zip(arrivals).map(level).collect(),
            })
        }
        other => Err(CacheError::Count(other.len())),
    }
}
