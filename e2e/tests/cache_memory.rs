//! The cache in memory.

use std::sync::Arc;

use agentapi_e2e::cache_contract;
use agentapi_e2e::cache_contract::Replicas;
use agentapi_gateway::cache::MemoryCache;

async fn replicas() -> anyhow::Result<Replicas> {
    let cache = Arc::new(MemoryCache::default());
    Ok([cache.clone(), cache])
}

cache_contract!(replicas);
