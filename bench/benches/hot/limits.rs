//! Rates that this replica decides by itself.

use std::hint::black_box;

use agentapi_gateway::cache::{Bucket, MemoryCache};
use agentapi_gateway::limits::Rate;
use criterion::Criterion;

/// Never empty: what is measured is a request that goes on.
const RATE: (u32, u32) = (u32::MAX, 1_000_000);

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits");
    let rate = Rate::new(RATE.0, RATE.1);
    group.bench_function("GCRA", |bencher| {
        let mut arrival = None;
        let mut now = 0;
        bencher.iter(|| {
            now += 1;
            arrival = black_box(rate).take(arrival, now).or(arrival);
            arrival
        });
    });
    let cache = MemoryCache::default();
    let bucket = |key: &str| Bucket {
        key: key.to_owned(),
        rate,
    };
    let of_user = [bucket(
        "agentapi:rate:{00000000-0000-0000-0000-000000000ace}:mcp:0123456789abcdef0123456789abcdef",
    )];
    group.bench_function("local GCRA", |bencher| {
        bencher.iter(|| cache.take_now(black_box(&of_user)));
    });
    group.finish();
}
