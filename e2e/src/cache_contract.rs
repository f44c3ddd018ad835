//! What every cache must do. Each function is one test; it gets two handles, as two replicas have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_gateway::cache::{Bucket, Cache, TokenCache};
use agentapi_gateway::encryption::{EncryptionKeys, Location, SealedColumn};
use agentapi_gateway::limits::Rate;
use agentapi_gateway::store::TenantId;
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::try_join_all;
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::eventually::eventually;
use crate::peers::Peer;

/// The handles of two replicas.
pub type Replicas = [Arc<dyn Cache>; 2];

/// A cache as a test finds it.
pub struct Fixture {
    /// The handles of two replicas.
    pub replicas: Replicas,
    /// A server of this test alone, which ends with it.
    pub server: Option<Peer>,
}

/// Tests of one cache: `$fixture` is an async function that gives a [`Fixture`].
#[macro_export]
macro_rules! cache_contract {
    ($fixture:path) => {
        $crate::cache_contract! { $fixture:
            it_answers,
            the_burst_passes_and_no_more,
            a_refused_request_is_told_when_to_come_back,
            a_request_takes_from_every_bucket_or_from_none,
            replicas_share_a_bucket_exactly,
            in_a_time_no_more_pass_than_burst_and_rate_allow,
            several_at_once_pass_as_they_would_one_after_the_other,
            a_lowered_limit_locks_nobody_out,
            a_value_is_read_by_every_replica_until_it_is_removed,
            a_value_is_forgotten_when_its_time_is_over,
            a_sealed_credential_opens_in_its_own_place_only,
        }
    };
    ($fixture:path: $($test:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() -> anyhow::Result<()> {
                let fixture = $fixture().await?;
                $crate::cache_contract::$test(fixture.replicas).await
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

/// In one round trip, and with the levels that each of them left.
pub async fn several_at_once_pass_as_they_would_one_after_the_other(
    [cache, _]: Replicas,
) -> Result<()> {
    let taken = cache.take_times(&[bucket(1, 5)], 8).await?;
    let allowed: Vec<bool> = taken.iter().map(|taken| taken.allowed).collect();
    assert_eq!(allowed, [[true; 5].as_slice(), &[false; 3]].concat());
    let left: Vec<u32> = taken
        .iter()
        .map(|taken| taken.levels[0].remaining)
        .collect();
    assert_eq!(left, [4, 3, 2, 1, 0, 0, 0, 0]);
    Ok(())
}

/// Only where replicas share a server: memory serves one.
pub async fn living_replicas_are_counted([one, other]: Replicas) -> Result<()> {
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let alone = one.announce(first).await?;
    assert_eq!(one.announce(first).await?, alone, "one replica counts once");
    assert_eq!(other.announce(second).await?, alone + 1);
    eventually(
        "a replica that says nothing more is not counted",
        || async {
            let living = other.announce(second).await?;
            anyhow::ensure!(living <= alone, "{living} live");
            Ok(())
        },
    )
    .await
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

/// A key of this test alone.
fn key() -> String {
    format!("agentapi:test:{}", Uuid::new_v4())
}

/// What one replica sets the others read.
pub async fn a_value_is_read_by_every_replica_until_it_is_removed(
    [one, other]: Replicas,
) -> Result<()> {
    let (key, hour) = (key(), Duration::from_secs(3600));
    assert_eq!(other.get(&key).await?, None);
    one.set(&key, "first", hour).await?;
    one.set(&key, "zweiter Wert: \"ü\"", hour).await?;
    let value = other.get(&key).await?;
    assert_eq!(value.as_deref(), Some("zweiter Wert: \"ü\""));
    other.remove(&key).await?;
    assert_eq!(one.get(&key).await?, None);
    Ok(())
}

/// Later set, later forgotten: the time is that of the last value.
pub async fn a_value_is_forgotten_when_its_time_is_over([cache, _]: Replicas) -> Result<()> {
    let (short, long) = (key(), key());
    for key in [&short, &long] {
        cache.set(key, "value", Duration::from_millis(100)).await?;
    }
    cache.set(&long, "value", Duration::from_secs(3600)).await?;
    eventually("the value is forgotten", || async {
        anyhow::ensure!(cache.get(&short).await?.is_none(), "still there");
        Ok(())
    })
    .await?;
    assert!(cache.get(&long).await?.is_some());
    Ok(())
}

/// Another row's envelope, put in its place, is refused; and no secret is in the cache.
pub async fn a_sealed_credential_opens_in_its_own_place_only([cache, _]: Replicas) -> Result<()> {
    let text = format!("test:{}", STANDARD.encode([7; 32]));
    let keys = EncryptionKeys::parse(&text.into())?.context("a key was given")?;
    let tokens = TokenCache::new(cache.clone(), keys.clone());
    let place = || Location {
        tenant: TenantId(Uuid::new_v4()),
        column: SealedColumn::McpCredentials,
        row: Uuid::new_v4(),
    };
    let (here, there, hour) = (place(), place(), Duration::from_secs(3600));
    let sealed = keys.seal(&here, &"hunter2".to_owned().into())?;
    tokens.put(&here, &sealed, hour).await?;
    let opened = tokens.get(&here).await?.context("it is held")?;
    assert_eq!(opened.expose_secret(), "hunter2");
    assert!(tokens.get(&there).await?.is_none());
    tokens.put(&there, &sealed, hour).await?;
    assert!(tokens.get(&there).await.is_err(), "a moved envelope opens");
    tokens.forget(&here).await?;
    assert!(tokens.get(&here).await?.is_none());
    Ok(())
}
