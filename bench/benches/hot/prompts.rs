//! Composed prompts.

use std::hint::black_box;

use agentapi_gateway::domain::prompts::{Prompts, Variables};
use anyhow::Result;
use criterion::Criterion;

use crate::organization;

pub(crate) fn measure(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("prompts");
    let configs = organization::prompts();
    group.bench_function("compiled policies", |bencher| {
        bencher.iter(|| Prompts::compile(black_box(&configs)).is_ok());
    });
    let prompts = Prompts::compile(&configs)?;
    let variables = Variables {
        organization: "acme".to_owned(),
        user: "8a6e0804-2bd0-4672-b79d-d97027f9071a".to_owned(),
        roles: vec!["user".to_owned()],
        workspace: "default".to_owned(),
        agent: Some("assistant".to_owned()),
        model: None,
    };
    group.bench_function("composition", |bencher| {
        bencher.iter(|| prompts.compose(black_box(&variables)).is_ok());
    });
    group.finish();
    Ok(())
}
