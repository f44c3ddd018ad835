//! The statements that end a tenant's sessions, API keys, users' own servers and
//! connections, and drop its events.

use async_trait::async_trait;

use super::{Engine, SqlStore, Transaction};
use crate::store::{RetirementStore, StoreError, TenantId};

const END_MCP_SESSIONS: &str = "DELETE FROM mcp_sessions WHERE tenant_id = $1";
const REVOKE_API_KEYS: &str = "DELETE FROM api_keys WHERE tenant_id = $1";
const REMOVE_MCP_CONFIGS: &str = "DELETE FROM mcp_configs WHERE tenant_id = $1";
const DROP_EVENTS: &str = "DELETE FROM event_deliveries WHERE tenant_id = $1";
const END_BROWSERS: &str = "DELETE FROM browser_sessions WHERE tenant_id = $1";
const DISCONNECT: &str = "UPDATE oauth_tokens SET state = 'revoking', attempts = 0, attempt_at = $2, updated_at = $2 \
     WHERE tenant_id = $1 AND state IN ('connected', 'reconnect')";
const END_SESSIONS: &str = "DELETE FROM sessions WHERE tenant_id = $1";

#[async_trait]
impl<E: Engine> RetirementStore for SqlStore<E> {
    async fn retire(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let values = [tenant.into()];
        let ended = transaction.execute(END_MCP_SESSIONS, &values).await?
            + transaction.execute(END_SESSIONS, &values).await?;
        transaction.execute(REVOKE_API_KEYS, &values).await?;
        transaction.execute(REMOVE_MCP_CONFIGS, &values).await?;
        transaction.execute(DROP_EVENTS, &values).await?;
        transaction.execute(END_BROWSERS, &values).await?;
        let now = self.engine.clock(&mut transaction).await?;
        transaction
            .execute(DISCONNECT, &[tenant.into(), now.into()])
            .await?;
        transaction.commit().await?;
        Ok(ended)
    }
}
