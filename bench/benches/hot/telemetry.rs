//! Metrics and log lines.

use std::hint::black_box;
use std::io;
use std::time::Duration;

use agentapi_gateway::telemetry::{LogFormat, Metrics, log_lines};
use anyhow::Result;
use criterion::Criterion;

pub(crate) fn measure(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("telemetry");
    let metrics = Metrics::new();
    group.bench_function("metrics of a request", |bencher| {
        bencher.iter(|| {
            metrics.http_request(
                black_box("/v1/mcp/servers/{id}"),
                "POST",
                200,
                Duration::from_micros(900),
            );
        });
    });
    let lines = log_lines(LogFormat::Json, "info", io::sink)?;
    tracing::dispatcher::with_default(&lines, || {
        let request = tracing::info_span!(
            "request",
            request_id = "0198f2b1-6f0e-7d31-b3b2-58f6c4f3c0de",
            method = "POST",
            path = "/mcp"
        );
        let _entered = request.enter();
        group.bench_function("log line", |bencher| {
            bencher.iter(|| {
                tracing::info!(
                    route = black_box("/mcp"),
                    status = 200,
                    milliseconds = black_box(0.9),
                    "answered"
                );
            });
        });
        group.bench_function("log line that is filtered out", |bencher| {
            bencher.iter(|| tracing::debug!(route = black_box("/mcp"), "answered"));
        });
    });
    group.finish();
    Ok(())
}
