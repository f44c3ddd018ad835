//! Limits and sealed tokens in Redis, against bare commands on the same server.

use std::process::Stdio;
use std::time::{Duration, Instant};

use agentapi_e2e::redis_server::RedisServer;
use agentapi_gateway::cache::{Bucket, Cache, RedisCache, TokenCache};
use agentapi_gateway::encryption::{EncryptionKeys, Location, SealedColumn};
use agentapi_gateway::limits::Rate;
use agentapi_gateway::store::TenantId;
use anyhow::{Context, Result, ensure};
use redis::aio::MultiplexedConnection;
use tokio::process::Command;
use uuid::Uuid;

use super::rounds::Rounds;
use crate::report::{Bar, Report};

/// The script as the gateway calls it.
const TAKE: &str = include_str!("../../../gateway/src/cache/take.lua");
/// A bare call takes at least this part of the time of one by the cache: 1 / 1.1.
const ONE_BY_ONE: f64 = 1.0 / 1.1;
/// At least this part of the rate of redis-benchmark.
const PIPELINED: f64 = 0.8;
/// Most microseconds to read and open a token.
const TOKEN: f64 = 1000.0;
const CALLS: usize = 2000;
/// Calls of a batch: the most messages that MCP clients may send at once.
const BATCH: usize = 64;
const BATCHES: usize = 300;
const ROUNDS: usize = 9;

/// Measures on a server of its own.
pub(super) async fn measure(report: &mut Report) -> Result<()> {
    let server = RedisServer::start().await?;
    let cache = RedisCache::open(&server.url().into())?;
    let client = redis::Client::open(server.url())?;
    let mut bare = client.get_multiplexed_async_connection().await?;
    let script: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(TAKE)
        .query_async(&mut bare)
        .await?;
    one_by_one(report, &cache, &mut bare, &script).await?;
    batches(report, &cache, &server, &script).await?;
    tokens(report, cache).await
}

/// Never empty: what is measured is a request that goes on.
fn bucket() -> Bucket {
    Bucket {
        key: format!("agentapi:rate:{{{}}}", Uuid::from_u128(0xACE)),
        rate: Rate::new(u32::MAX, 1_000_000),
    }
}

async fn one_by_one(
    report: &mut Report,
    cache: &RedisCache,
    bare: &mut MultiplexedConnection,
    script: &str,
) -> Result<()> {
    let bucket = bucket();
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..CALLS {
            let mut call = redis::cmd("EVALSHA");
            call.arg(script).arg(1).arg(&bucket.key);
            call.arg(bucket.rate.interval()).arg(bucket.rate.capacity());
            call.query_async::<Vec<i64>>(bare).await?;
        }
        let baseline = started.elapsed();
        let started = Instant::now();
        for _ in 0..CALLS {
            let taken = cache.take(std::slice::from_ref(&bucket)).await?;
            ensure!(taken.allowed, "the bucket is empty");
        }
        rounds.add(baseline, started.elapsed());
    }
    let microseconds = |rate: f64| 1e6 / rate;
    let (baseline, measured) = (rounds.baseline_rate(CALLS), rounds.measured_rate(CALLS));
    report.add("bare EVALSHA", microseconds(baseline), "µs", Bar::None);
    report.add("limit in Redis", microseconds(measured), "µs", Bar::None);
    let bar = Bar::AtLeast(ONE_BY_ONE);
    report.add(
        "limit in Redis, speed to bare EVALSHA",
        rounds.ratio(),
        "×",
        bar,
    );
    Ok(())
}

async fn batches(
    report: &mut Report,
    cache: &RedisCache,
    server: &RedisServer,
    script: &str,
) -> Result<()> {
    let bucket = [bucket()];
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let theirs = redis_benchmark(server, script, &bucket[0]).await?;
        let started = Instant::now();
        for _ in 0..BATCHES {
            cache.take_times(&bucket, BATCH).await?;
        }
        let ours = (BATCHES * BATCH) as f64 / started.elapsed().as_secs_f64();
        ratios.push((ours / theirs, ours, theirs));
    }
    ratios.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
    let (ratio, ours, theirs) = ratios[ROUNDS / 2];
    report.add(
        "limits in batches of 64, redis-benchmark",
        theirs,
        "/s",
        Bar::None,
    );
    report.add("limits in batches of 64, cache", ours, "/s", Bar::None);
    let bar = Bar::AtLeast(PIPELINED);
    report.add(
        "limits in batches, rate to redis-benchmark's",
        ratio,
        "×",
        bar,
    );
    Ok(())
}

/// Calls a second by redis-benchmark, on one connection in the same batches.
async fn redis_benchmark(server: &RedisServer, script: &str, bucket: &Bucket) -> Result<f64> {
    let (calls, batch) = ((BATCHES * BATCH).to_string(), BATCH.to_string());
    let (interval, capacity) = (bucket.rate.interval(), bucket.rate.capacity());
    let output = Command::new("redis-benchmark")
        .args(["-p", &server.port().to_string(), "-c", "1", "--csv"])
        .args(["-n", &calls, "-P", &batch])
        .args(["EVALSHA", script, "1", &bucket.key])
        .args([interval.to_string(), capacity.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("redis-benchmark cannot be run: Debian has it in redis-tools")?;
    let text = String::from_utf8(output.stdout)?;
    let line = text
        .lines()
        .last()
        .context("redis-benchmark said nothing")?;
    let rate = line.rsplit("\",\"").nth(6);
    let rate = rate.with_context(|| format!("no rate is in {line}"))?;
    rate.parse()
        .with_context(|| format!("no rate is in {line}"))
}

async fn tokens(report: &mut Report, cache: RedisCache) -> Result<()> {
    // The base64 of 32 bytes.
    let keys = format!("bench:{}=", "A".repeat(43));
    let keys = EncryptionKeys::parse(&keys.into())?.context("a key was given")?;
    let tokens = TokenCache::new(std::sync::Arc::new(cache), keys.clone());
    let place = Location {
        tenant: TenantId(Uuid::from_u128(0xACE)),
        column: SealedColumn::McpCredentials,
        row: Uuid::new_v4(),
    };
    // As long as an access token that is a JWT.
    let sealed = keys.seal(&place, &"t".repeat(1200).into())?;
    tokens
        .put(&place, &sealed, Duration::from_secs(3600))
        .await?;
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let started = Instant::now();
        ensure!(tokens.get(&place).await?.is_some(), "the token is gone");
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let bar = Bar::AtMost(TOKEN);
    report.add(
        "sealed token read from Redis, median",
        times[CALLS / 2],
        "µs",
        bar,
    );
    let slow = times[CALLS * 99 / 100];
    report.add(
        "sealed token read from Redis, 99th percentile",
        slow,
        "µs",
        bar,
    );
    Ok(())
}
