//! Connections that end: disconnected, offboarded, retired; and the job that revokes them upstream.

use async_trait::async_trait;
use uuid::Uuid;

use super::browsers::{after, holder};
use super::connections::{ConnectionRow, connection_columns, insert};
use super::sessions::add_organization;
use super::{Engine, SqlStore, Transaction, now};
use crate::store::{
    Connection, ConnectionState, NewConnection, Offboarded, RevocationStore, StoreError, TenantId,
};

const DISCONNECT: &str = "UPDATE oauth_tokens SET state = 'revoking', attempts = 0, attempt_at = $4, updated_at = $4 \
     WHERE tenant_id = $1 AND server = $2 AND holder = $3 AND state IN ('connected', 'reconnect')";

const DISCONNECT_USER: &str = "UPDATE oauth_tokens SET state = 'revoking', attempts = 0, attempt_at = $3, updated_at = $3 \
     WHERE tenant_id = $1 AND holder = $2 AND state IN ('connected', 'reconnect')";

const END_BROWSERS: &str = "DELETE FROM browser_sessions WHERE tenant_id = $1 AND user_id = $2";
const END_MCP_SESSIONS: &str = "DELETE FROM mcp_sessions WHERE tenant_id = $1 AND user_id = $2";
const END_SESSIONS: &str = "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2";
const LEAVE_SESSIONS: &str = "DELETE FROM session_members WHERE tenant_id = $1 AND user_id = $2";
const REVOKE_KEYS: &str = "DELETE FROM api_keys WHERE tenant_id = $1 AND user_id = $2";

const DUE: &str = "SELECT tenant_id, id FROM oauth_tokens \
     WHERE state = 'revoking' AND attempt_at <= $1 AND leased_until <= $1 ORDER BY attempt_at LIMIT 32";

/// Not while it is refreshed: the tokens to revoke are the new ones.
const TAKE: &str = concat!(
    "UPDATE oauth_tokens SET attempts = attempts + 1, attempt_at = $4 \
     WHERE tenant_id = $1 AND id = $2 AND state = 'revoking' AND attempt_at <= $3 AND leased_until <= $3 RETURNING ",
    connection_columns!()
);

const FINISH: &str = "DELETE FROM oauth_tokens WHERE tenant_id = $1 AND id = $2 AND version = $3 AND state = 'revoking'";

const POSTPONE: &str = "UPDATE oauth_tokens SET attempt_at = $3 WHERE tenant_id = $1 AND id = $2 AND state = 'revoking'";

const ABANDON: &str = "UPDATE oauth_tokens SET state = 'unrevoked' WHERE tenant_id = $1 AND id = $2 AND state = 'revoking'";

#[async_trait]
impl<E: Engine> RevocationStore for SqlStore<E> {
    async fn disconnect(
        &self,
        tenant: TenantId,
        server: &str,
        user: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let values = [tenant.into(), server.into(), holder(user), now.into()];
        let ended = transaction.execute(DISCONNECT, &values).await?;
        transaction.commit().await?;
        Ok(ended > 0)
    }

    async fn revoke_unused(&self, tenant: TenantId, new: &NewConnection) -> Result<(), StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        add_organization(&mut transaction, tenant, now).await?;
        insert(
            &mut transaction,
            tenant,
            new,
            ConnectionState::Revoking,
            now,
        )
        .await?;
        transaction.commit().await
    }

    async fn offboard(&self, tenant: TenantId, user: &str) -> Result<Offboarded, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let of_user = [tenant.into(), user.into(), now.into()];
        let connections = transaction.execute(DISCONNECT_USER, &of_user).await?;
        let of_user = &of_user[..2];
        transaction.execute(END_BROWSERS, of_user).await?;
        transaction.execute(LEAVE_SESSIONS, of_user).await?;
        let sessions = transaction.execute(END_MCP_SESSIONS, of_user).await?
            + transaction.execute(END_SESSIONS, of_user).await?;
        let api_keys = transaction.execute(REVOKE_KEYS, of_user).await?;
        transaction.commit().await?;
        Ok(Offboarded {
            connections,
            sessions,
            api_keys,
        })
    }

    async fn due_revocations(&self) -> Result<Vec<(TenantId, Uuid)>, StoreError> {
        let mut transaction = self.engine.work().await?;
        let due: Vec<(Uuid, Uuid)> = transaction.rows(DUE, &[now().into()]).await?;
        transaction.commit().await?;
        let named = |(tenant, id)| (TenantId(tenant), id);
        Ok(due.into_iter().map(named).collect())
    }

    async fn take_revocation(
        &self,
        tenant: TenantId,
        id: Uuid,
        pause_seconds: u32,
    ) -> Result<Option<Connection>, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let values = [
            tenant.into(),
            id.into(),
            now.into(),
            after(now, pause_seconds).into(),
        ];
        let taken: Option<ConnectionRow> = transaction.rows(TAKE, &values).await?.pop();
        transaction.commit().await?;
        taken.map(|row| row.read(now)).transpose()
    }

    async fn finish_revocation(
        &self,
        tenant: TenantId,
        id: Uuid,
        version: i64,
    ) -> Result<(), StoreError> {
        let values = [tenant.into(), id.into(), version.into()];
        let mut transaction = self.engine.write(tenant).await?;
        transaction.execute(FINISH, &values).await?;
        transaction.commit().await
    }

    async fn postpone_revocation(
        &self,
        tenant: TenantId,
        id: Uuid,
        pause_seconds: u32,
    ) -> Result<(), StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let values = [tenant.into(), id.into(), after(now, pause_seconds).into()];
        transaction.execute(POSTPONE, &values).await?;
        transaction.commit().await
    }

    async fn abandon_revocation(&self, tenant: TenantId, id: Uuid) -> Result<(), StoreError> {
        let values = [tenant.into(), id.into()];
        let mut transaction = self.engine.write(tenant).await?;
        transaction.execute(ABANDON, &values).await?;
        transaction.commit().await
    }
}
