//! From the operator's document to what requests use.

use std::hint::black_box;
use std::sync::Arc;

use agentapi_crds::tenant_config::{SecretReference, TenantConfig};
use agentapi_gateway::telemetry::Metrics;
use agentapi_gateway::tenants::{Environment, compile};
use agentapi_gateway::upstream::{Dialer, NoTokens, SecretError, Secrets};
use anyhow::Result;
use async_trait::async_trait;
use criterion::Criterion;
use secrecy::SecretString;

use crate::organization;

pub(crate) fn measure(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("tenants");
    let config = organization::acme(r#"{"keys":[]}"#.to_owned())?;
    let document = serde_json::to_string(&config)?;
    group.bench_function("document read", |bencher| {
        bencher.iter(|| TenantConfig::read(black_box(&document)).is_ok());
    });
    let environment = Environment {
        dialer: Dialer::new(vec![]),
        secrets: Arc::new(NoSecrets),
        tokens: Arc::new(NoTokens),
        development: None,
        processes: false,
        bridges: None,
        metrics: Metrics::new(),
    };
    group.bench_function("document compiled", |bencher| {
        bencher.iter(|| compile(black_box(config.clone()), None, &environment).is_ok());
    });
    let before = compile(config.clone(), None, &environment)?;
    group.bench_function("document compiled again, servers unchanged", |bencher| {
        bencher.iter(|| compile(black_box(config.clone()), Some(&before), &environment).is_ok());
    });
    group.finish();
    Ok(())
}

/// Has no secret: none is referred to.
pub(crate) struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn read(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        let SecretReference {
            namespace,
            name,
            key,
            ..
        } = reference.clone();
        Err(SecretError::Missing {
            namespace,
            name,
            key,
        })
    }
}
