//! MCP sessions of clients and the upstream sessions behind them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::sessions::add_organization;
use super::{Engine, SqlStore, Transaction, json, now, timestamp};
use crate::store::{McpScope, McpSession, McpSessionStore, StoreError, TenantId, UpstreamState};

/// As for agent sessions: what a user left behind goes when the user comes back.
const REMOVE_ENDED: &str =
    "DELETE FROM mcp_sessions WHERE tenant_id = $1 AND user_id = $2 AND expires_at <= $3";

const INSERT: &str = "INSERT INTO mcp_sessions \
     (tenant_id, id, user_id, workspace, server, session_id, protocol_version, \
      client_capabilities, client_info, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

const GET: &str = "SELECT id, user_id, workspace, server, session_id, protocol_version, \
     client_capabilities, client_info, expires_at \
     FROM mcp_sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND expires_at > $4";

const UPSTREAMS: &str = "SELECT server, session_id, protocol_version FROM mcp_upstreams \
     WHERE tenant_id = $1 AND mcp_session_id = $2";

/// Selects from the session, so that nothing is written for one that has ended.
const PUT_UPSTREAM: &str = "INSERT INTO mcp_upstreams (tenant_id, mcp_session_id, server, session_id, protocol_version) \
     SELECT tenant_id, id, $3, $4, $5 FROM mcp_sessions WHERE tenant_id = $1 AND id = $2 \
     ON CONFLICT (tenant_id, mcp_session_id, server) \
     DO UPDATE SET session_id = excluded.session_id, protocol_version = excluded.protocol_version";

const END: &str = "DELETE FROM mcp_sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND expires_at > $4";

#[derive(sqlx::FromRow)]
struct McpSessionRow {
    id: Uuid,
    user_id: String,
    workspace: String,
    server: Option<String>,
    session_id: Option<Uuid>,
    protocol_version: String,
    client_capabilities: String,
    client_info: String,
    expires_at: i64,
}

#[derive(sqlx::FromRow)]
struct UpstreamRow {
    server: String,
    session_id: Option<String>,
    protocol_version: String,
}

impl McpSessionRow {
    fn with(self, upstreams: Vec<UpstreamRow>) -> Result<McpSession, StoreError> {
        let scope = match (self.server, self.session_id) {
            (Some(server), _) => McpScope::Server(server),
            (None, Some(session)) => McpScope::Session(session),
            (None, None) => McpScope::Federated,
        };
        let upstreams: BTreeMap<_, _> = upstreams
            .into_iter()
            .map(|row| {
                let state = UpstreamState {
                    session_id: row.session_id,
                    protocol_version: row.protocol_version,
                };
                (row.server, state)
            })
            .collect();
        Ok(McpSession {
            id: self.id,
            user: self.user_id,
            workspace: self.workspace,
            scope,
            protocol_version: self.protocol_version,
            client_capabilities: json("MCP session", &self.client_capabilities)?,
            client_info: json("MCP session", &self.client_info)?,
            expires_at: timestamp("MCP session", self.expires_at)?,
            upstreams,
        })
    }
}

#[async_trait]
impl<E: Engine> McpSessionStore for SqlStore<E> {
    async fn create_mcp_session(
        &self,
        tenant: TenantId,
        session: &McpSession,
    ) -> Result<(), StoreError> {
        let now = now();
        let (server, agent_session) = match &session.scope {
            McpScope::Federated => (None, None),
            McpScope::Server(server) => (Some(server.as_str()), None),
            McpScope::Session(id) => (None, Some(*id)),
        };
        let values = [
            tenant.into(),
            session.id.into(),
            (&session.user).into(),
            (&session.workspace).into(),
            server.into(),
            agent_session.into(),
            (&session.protocol_version).into(),
            (&session.client_capabilities).into(),
            (&session.client_info).into(),
            now.into(),
            session.expires_at.as_microsecond().into(),
        ];
        let mut transaction = self.engine.write(tenant).await?;
        add_organization(&mut transaction, tenant, now).await?;
        transaction
            .execute(
                REMOVE_ENDED,
                &[tenant.into(), (&session.user).into(), now.into()],
            )
            .await?;
        transaction.execute(INSERT, &values).await?;
        for (server, state) in &session.upstreams {
            put_upstream(&mut transaction, tenant, session.id, server, state).await?;
        }
        transaction.commit().await
    }

    async fn mcp_session(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<McpSession>, StoreError> {
        let values = [tenant.into(), user.into(), id.into(), now().into()];
        let mut transaction = self.engine.read(tenant).await?;
        let Some(session) = transaction.rows::<McpSessionRow>(GET, &values).await?.pop() else {
            return Ok(None);
        };
        let upstreams = transaction
            .rows(UPSTREAMS, &[tenant.into(), id.into()])
            .await?;
        transaction.commit().await?;
        session.with(upstreams).map(Some)
    }

    async fn put_upstream(
        &self,
        tenant: TenantId,
        id: Uuid,
        server: &str,
        state: &UpstreamState,
    ) -> Result<(), StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        put_upstream(&mut transaction, tenant, id, server, state).await?;
        transaction.commit().await
    }

    async fn end_mcp_session(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        let values = [tenant.into(), user.into(), id.into(), now().into()];
        let mut transaction = self.engine.write(tenant).await?;
        let ended = transaction.execute(END, &values).await?;
        transaction.commit().await?;
        Ok(ended > 0)
    }
}

async fn put_upstream(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    id: Uuid,
    server: &str,
    state: &UpstreamState,
) -> Result<(), StoreError> {
    let values = [
        tenant.into(),
        id.into(),
        server.into(),
        state.session_id.as_deref().into(),
        (&state.protocol_version).into(),
    ];
    transaction.execute(PUT_UPSTREAM, &values).await?;
    Ok(())
}
