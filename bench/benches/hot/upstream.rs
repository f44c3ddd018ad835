//! What stands between a request and an address.

use std::hint::black_box;
use std::net::IpAddr;

use agentapi_gateway::upstream::EgressPolicy;
use anyhow::Result;
use criterion::Criterion;

use crate::organization;

pub(crate) fn measure(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("upstream");
    let policy = EgressPolicy::declared(&organization::egress()?);
    let address: IpAddr = "203.0.113.7".parse()?;
    group.bench_function("egress check", |bencher| {
        bencher.iter(|| {
            policy
                .check(black_box("mcp.example.net"), 443, black_box(address), &[])
                .is_ok()
        });
    });
    let metadata: IpAddr = "169.254.169.254".parse()?;
    group.bench_function("egress check that refuses", |bencher| {
        bencher.iter(|| {
            policy
                .check(black_box("mcp.example.net"), 80, black_box(metadata), &[])
                .is_err()
        });
    });
    group.finish();
    Ok(())
}
