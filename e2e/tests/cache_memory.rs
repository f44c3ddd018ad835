//! The cache in memory.

use std::sync::Arc;

use agentapi_e2e::cache_contract;
use agentapi_e2e::cache_contract::Fixture;
use agentapi_gateway::cache::MemoryCache;

async fn memory() -> anyhow::Result<Fixture> {
    let cache = Arc::new(MemoryCache::default());
    Ok(Fixture {
        replicas: [cache.clone(), cache],
        server: None,
    })
}

cache_contract!(memory);
