//! The last checkpoints of the audit record, kept away from the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use redis::FromRedisValue;

use super::CacheError;
use super::connection::{Connection, Script};
use crate::audit::{AnchorError, Anchors};
use crate::domain::audit::Mark;
use crate::store::TenantId;

/// Anchors in Redis. They have no expiry: give Redis persistence to keep them over its restarts.
pub struct RedisAnchors {
    connection: Arc<dyn Connection>,
    raise: Script,
}

impl RedisAnchors {
    pub(super) fn new(connection: Arc<dyn Connection>) -> Self {
        Self {
            connection,
            raise: Script::new(include_str!("raise.lua")),
        }
    }

    async fn kept(&self, tenant: TenantId) -> Result<Option<String>, CacheError> {
        let mut get = redis::cmd("GET");
        get.arg(key(tenant));
        let kept = self.connection.run(&get).await?;
        FromRedisValue::from_redis_value(kept).map_err(CacheError::Answer)
    }
}

fn key(tenant: TenantId) -> String {
    format!("agentapi:audit:anchor:{}", tenant.0)
}

#[async_trait]
impl Anchors for RedisAnchors {
    async fn raise(&self, tenant: TenantId, mark: &Mark) -> Result<(), AnchorError> {
        let key = key(tenant);
        let raised = self.raise.call(&*self.connection, |call| {
            call.arg(1).arg(&key).arg(mark.number).arg(&mark.hash);
        });
        raised.await.map_err(CacheError::Unavailable)?;
        Ok(())
    }

    async fn anchor(&self, tenant: TenantId) -> Result<Option<Mark>, AnchorError> {
        let kept = self.kept(tenant).await?;
        kept.map(|text| text.parse().map_err(|_| AnchorError::Unreadable(text)))
            .transpose()
    }
}

/// Anchors in this process: for the embedded mode, and gone with it.
#[derive(Debug, Default)]
pub struct MemoryAnchors(Mutex<HashMap<TenantId, Mark>>);

#[async_trait]
impl Anchors for MemoryAnchors {
    async fn raise(&self, tenant: TenantId, mark: &Mark) -> Result<(), AnchorError> {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = marks.entry(tenant).or_default();
        if kept.number < mark.number {
            *kept = mark.clone();
        }
        Ok(())
    }

    async fn anchor(&self, tenant: TenantId) -> Result<Option<Mark>, AnchorError> {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(marks.get(&tenant).cloned())
    }
}
