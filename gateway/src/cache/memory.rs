//! Memory: for a single replica, and for the time Redis is away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use uuid::Uuid;

use super::{Bucket, Cache, CacheError, Taken};

/// Buckets held at most; full ones go first, then those nearest to it.
const MOST_BUCKETS: usize = 100_000;

/// Bytes of values held at most, with their keys; those used least go first.
const MOST_BYTES: u64 = 32 << 20;

/// Buckets and values in this process. Bounded: a forgotten bucket is a full one, and
/// a value may be lost.
#[derive(Debug)]
pub struct MemoryCache {
    origin: Instant,
    most: usize,
    /// Arrival times in microseconds since `origin`.
    arrivals: Mutex<HashMap<String, i64>>,
    values: moka::sync::Cache<String, Kept>,
}

/// A value, and for how long it is kept.
#[derive(Clone, Debug)]
struct Kept {
    value: Arc<str>,
    lifetime: Duration,
}

struct Lifetimes;

impl Expiry<String, Kept> for Lifetimes {
    fn expire_after_create(&self, _: &String, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &String,
        kept: &Kept,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.lifetime)
    }
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::with_capacity(MOST_BUCKETS)
    }
}

impl MemoryCache {
    /// Holds at most so many buckets.
    pub fn with_capacity(most: usize) -> Self {
        Self {
            origin: Instant::now(),
            most: most.max(1),
            arrivals: Mutex::default(),
            values: moka::sync::Cache::builder()
                .max_capacity(MOST_BYTES)
                .weigher(|key: &String, kept: &Kept| weight(key, &kept.value))
                .expire_after(Lifetimes)
                .build(),
        }
    }

    /// As [`Cache::take`], which cannot fail here.
    pub fn take_now(&self, buckets: &[Bucket]) -> Taken {
        let now = self.now();
        let mut arrivals = self.arrivals();
        // The usual case, looked up once.
        if let [bucket] = buckets
            && let Some(arrival) = arrivals.get_mut(&bucket.key)
        {
            return take_one(bucket, arrival, now);
        }
        let next: Option<Vec<i64>> = buckets
            .iter()
            .map(|bucket| bucket.rate.take(arrivals.get(&bucket.key).copied(), now))
            .collect();
        match &next {
            Some(next) => {
                make_room(&mut arrivals, buckets.len(), self.most, now);
                for (bucket, arrival) in buckets.iter().zip(next) {
                    arrivals.insert(bucket.key.clone(), *arrival);
                }
            }
            None => {
                for bucket in buckets {
                    if let Some(arrival) = arrivals.get_mut(&bucket.key) {
                        *arrival = bucket.rate.bounded(Some(*arrival), now);
                    }
                }
            }
        }
        let level = |bucket: &Bucket| bucket.rate.level(arrivals.get(&bucket.key).copied(), now);
        Taken {
            allowed: next.is_some(),
            levels: buckets.iter().map(level).collect(),
        }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// A panic elsewhere leaves the map whole: every change to it is one insertion.
    fn arrivals(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As [`MemoryCache::take_now`], from a bucket that is not full.
fn take_one(bucket: &Bucket, arrival: &mut i64, now: i64) -> Taken {
    let next = bucket.rate.take(Some(*arrival), now);
    *arrival = next.unwrap_or_else(|| bucket.rate.bounded(Some(*arrival), now));
    Taken {
        allowed: next.is_some(),
        levels: vec![bucket.rate.level(Some(*arrival), now)],
    }
}

/// In bytes; at least one, so that empty values count.
fn weight(key: &str, value: &str) -> u32 {
    u32::try_from(key.len() + value.len() + 1).unwrap_or(u32::MAX)
}

/// Forgets full buckets, and if that is not enough the eighth that is nearest to full.
fn make_room(arrivals: &mut HashMap<String, i64>, wanted: usize, most: usize, now: i64) {
    if arrivals.len() + wanted <= most {
        return;
    }
    arrivals.retain(|_, arrival| *arrival > now);
    if arrivals.len() + wanted <= most {
        return;
    }
    let mut times: Vec<i64> = arrivals.values().copied().collect();
    let forgotten = (most / 8).max(wanted).min(times.len().saturating_sub(1));
    let (_, nearest, _) = times.select_nth_unstable(forgotten);
    let nearest = *nearest;
    arrivals.retain(|_, arrival| *arrival > nearest);
}

#[async_trait]
impl Cache for MemoryCache {
    async fn take(&self, buckets: &[Bucket]) -> Result<Taken, CacheError> {
        Ok(self.take_now(buckets))
    }

    async fn take_times(&self, buckets: &[Bucket], times: usize) -> Result<Vec<Taken>, CacheError> {
        Ok((0..times).map(|_| self.take_now(buckets)).collect())
    }

    /// Memory serves a single replica.
    async fn announce(&self, _: Uuid) -> Result<u32, CacheError> {
        Ok(1)
    }

    async fn get(&self, key: &str) -> Result<Option<String>, CacheError> {
        let kept = self.values.get(key);
        Ok(kept.map(|Kept { value, .. }| String::from(&*value)))
    }

    async fn set(&self, key: &str, value: &str, lifetime: Duration) -> Result<(), CacheError> {
        let value = value.into();
        self.values.insert(key.to_owned(), Kept { value, lifetime });
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<(), CacheError> {
        self.values.invalidate(key);
        Ok(())
    }

    async fn ping(&self) -> Result<(), CacheError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Rate;

    fn bucket(key: impl Into<String>, burst: u32) -> Bucket {
        Bucket {
            key: key.into(),
            rate: Rate::new(1, burst),
        }
    }

    #[test]
    fn a_million_callers_take_bounded_memory() {
        let cache = MemoryCache::with_capacity(100);
        for caller in 0..10_000 {
            cache.take_now(&[
                bucket(format!("user-{caller}"), 5),
                bucket("organization", 1_000_000),
            ]);
            assert!(
                cache.arrivals().len() <= 100,
                "{} buckets are held",
                cache.arrivals().len()
            );
        }
    }

    #[test]
    fn the_busiest_bucket_is_forgotten_last() {
        let cache = MemoryCache::with_capacity(100);
        let busy = bucket("busy", 1000);
        (0..1000).for_each(|_| drop(cache.take_now(std::slice::from_ref(&busy))));
        (0..1000).for_each(|caller| drop(cache.take_now(&[bucket(format!("user-{caller}"), 5)])));
        assert!(
            !cache.take_now(&[busy]).allowed,
            "the empty bucket was forgotten"
        );
    }
}
