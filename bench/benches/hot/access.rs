//! What a caller may do, and what everybody else is told.

use std::hint::black_box;

use agentapi_gateway::domain::access::{Right, Rights};
use agentapi_gateway::http::Problem;
use anyhow::Result;
use axum::response::IntoResponse;
use criterion::Criterion;

pub(crate) fn measure(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("access");
    let roles = [
        "user".to_owned(),
        "auditor".to_owned(),
        "developers".to_owned(),
    ];
    group.bench_function("rights of roles", |bencher| {
        bencher.iter(|| Rights::of_roles(black_box(&roles)).contain(Right::SessionsWrite));
    });
    group.bench_function("problem document", |bencher| {
        bencher.iter(|| Problem::not_found().into_response());
    });
    group.finish();
    Ok(())
}
