//! Memory: for a single replica, and for the time Redis is away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;

use super::{Bucket, Cache, CacheError, Taken};

/// Buckets held at most; full ones go first, then those nearest to it.
const MOST_BUCKETS: usize = 100_000;

/// Buckets in this process. Bounded: a forgotten bucket is a full one.
#[derive(Debug)]
pub struct MemoryCache {
    origin: Instant,
    most: usize,
    /// Arrival times in microseconds since `origin`.
    arrivals: Mutex<HashMap<String, i64>>,
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
        }
    }

    /// As [`Cache::take`], which cannot fail here.
    pub fn take_now(&self, buckets: &[Bucket]) -> Taken {
        let now = self.now();
        let mut arrivals = self.arrivals();
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
