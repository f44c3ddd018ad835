//! The end of a tenant.

use agentapi_gateway::store::McpScope;
use anyhow::{Result, ensure};

use super::mcp_configs::{keys, mcp_config};
use super::mcp_sessions::mcp_session;
use super::{ACME, AnyStore, FIRST_PAGE, GLOBEX, session_of};

/// All sessions of one tenant are ended and its users' own servers removed, and nobody else's.
pub async fn all_sessions_of_a_tenant_are_ended_at_once(store: AnyStore) -> Result<()> {
    for user in ["alice", "bob"] {
        store.create_session(ACME, session_of(user)).await?;
    }
    let kept = store.create_session(GLOBEX, session_of("alice")).await?;
    let open = mcp_session(McpScope::Federated);
    store.create_mcp_session(ACME, &open).await?;
    let ring = keys(&["first"])?;
    for tenant in [ACME, GLOBEX] {
        let own = mcp_config(tenant, "alice", "notes", &ring)?;
        store.create_mcp_config(tenant, own, 10, None).await?;
    }

    ensure!(store.retire(ACME).await? == 3);
    for user in ["alice", "bob"] {
        let left = store.list_sessions(ACME, user, FIRST_PAGE).await?;
        ensure!(left.items.is_empty(), "{user} still has {:?}", left.items);
    }
    let left = store.mcp_session(ACME, "alice", open.id).await?;
    ensure!(left.is_none(), "the MCP session is still there");
    let own = [ACME, GLOBEX].map(|tenant| store.mcp_configs(tenant, "alice"));
    let [gone, kept_own] = own;
    ensure!(
        gone.await?.is_empty(),
        "the user's own server is still there"
    );
    ensure!(
        kept_own.await?.len() == 1,
        "another tenant's own server was removed"
    );
    let found = store.touch_session(GLOBEX, "alice", kept.id).await?;
    ensure!(found.is_some(), "another tenant's session was ended");
    ensure!(store.retire(ACME).await? == 0, "something was left");
    Ok(())
}
