//! What every cache must do. Each function is one test; it gets two handles, as two replicas have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_gateway::cache::{Bucket, Cache};
use agentapi_gateway::limits::Rate;
use anyhow::Result;
use futures::future::try_join_all;
use uuid::Uuid;

use crate::eventually::eventually;

/// The handles of two replicas.
pub type Replicas = [Arc<dyn Cache>; 2];

/// Tests of one cache: `$replicas` is an async function that gives the handles.
#[macro_export]
macro_rules! cache_contract {
    ($replicas:path) => {
        $crate::cache_contract! { $replicas:
            it_answers,
            the_burst_passes_and_no_more,
            a_refused_request_is_told_when_to_come_back,
            a_request_takes_from_every_bucket_or_from_none,
            replicas_share_a_bucket_exactly,
            in_a_time_no_more_pass_than_burst_and_rate_allow,
            a_lowered_limit_locks_nobody_out,
        }
    };
    ($replicas:path: $($test:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() -> anyhow::Result<()> {
                $crate::cache_contract::$test($replicas().await?).await
            }
        )*
    };
}

/// A bucket of this test alone.
pub fn bucket(requests_per_minute: u32, burst: u32) -> Bucket {
    let key = format!("agentapi:test:{}", Uuid::new_v4());
    Bucket {
        key,
        rate: Rate::new(requests_per_minute, burst),
    }
}

/// How many of some requests, one after the other, pass.
async fn passed(cache: &Arc<dyn Cache>, buckets: &[Bucket], requests: usize) -> Result<usize> {
    let mut passed = 0;
    for _ in 0..requests {
        passed += usize::from(cache.take(buckets).await?.allowed);
    }
    Ok(passed)
}

/// A ping is answered.
pub async fn it_answers([cache, _]: Replicas) -> Result<()> {
    Ok(cache.ping().await?)
}

/// A burst is a burst.
pub async fn the_burst_passes_and_no_more([cache, _]: Replicas) -> Result<()> {
    assert_eq!(passed(&cache, &[bucket(1, 5)], 20).await?, 5);
    Ok(())
}

/// Within one interval, and not at once.
pub async fn a_refused_request_is_told_when_to_come_back([cache, _]: Replicas) -> Result<()> {
    let buckets = [bucket(1, 5)];
    passed(&cache, &buckets, 5).await?;
    let level = cache.take(&buckets).await?.levels[0];
    assert_eq!((level.limit, level.remaining), (5, 0));
    let wait = level.retry_after;
    assert!(
        wait > Duration::from_secs(30) && wait <= Duration::from_secs(60),
        "{wait:?}"
    );
    assert!(
        level.reset_after > Duration::from_secs(4 * 60),
        "{:?}",
        level.reset_after
    );
    Ok(())
}

/// A user at the limit costs the organization nothing.
pub async fn a_request_takes_from_every_bucket_or_from_none([cache, _]: Replicas) -> Result<()> {
    let (user, organization) = (bucket(1, 2), bucket(1, 10));
    assert_eq!(passed(&cache, &[user, organization.clone()], 20).await?, 2);
    assert_eq!(passed(&cache, &[organization], 20).await?, 8);
    Ok(())
}

/// Two hundred at once from two replicas, twenty allowed: exactly twenty pass.
pub async fn replicas_share_a_bucket_exactly(replicas: Replicas) -> Result<()> {
    let bucket = bucket(1, 20);
    let requests = (0..200).map(|number| {
        let (cache, bucket) = (replicas[number % 2].clone(), bucket.clone());
        tokio::spawn(async move { cache.take(&[bucket]).await.map(|taken| taken.allowed) })
    });
    let mut passed = 0;
    for allowed in try_join_all(requests).await? {
        passed += usize::from(allowed?);
    }
    assert_eq!(passed, 20);
    Ok(())
}

/// One request every ten milliseconds and a burst of three, hammered until twenty passed.
pub async fn in_a_time_no_more_pass_than_burst_and_rate_allow(replicas: Replicas) -> Result<()> {
    let buckets = [bucket(6000, 3)];
    let started = Instant::now();
    let mut number = 0;
    while number < 20 {
        for cache in &replicas {
            number += passed(cache, &buckets, 1).await?;
            let most = 3 + started.elapsed().as_millis() / 10;
            assert!(
                number as u128 <= most,
                "{number} passed in {:?}",
                started.elapsed()
            );
        }
    }
    Ok(())
}

/// What was taken under a generous limit does not count for longer than an empty bucket of the new one.
pub async fn a_lowered_limit_locks_nobody_out([cache, _]: Replicas) -> Result<()> {
    let generous = bucket(1, 1000);
    passed(&cache, std::slice::from_ref(&generous), 1000).await?;
    let strict = [Bucket {
        rate: Rate::new(6000, 1),
        ..generous
    }];
    eventually("a request passes under the new limit", || async {
        anyhow::ensure!(cache.take(&strict).await?.allowed, "still refused");
        Ok(())
    })
    .await
}
