//! The end of a tenant.

use agentapi_gateway::store::McpScope;
use anyhow::{Result, ensure};

use super::mcp_sessions::mcp_session;
use super::{ACME, AnyStore, FIRST_PAGE, GLOBEX, session_of};

/// All sessions of one tenant are ended, and nobody else's.
pub async fn all_sessions_of_a_tenant_are_ended_at_once(store: AnyStore) -> Result<()> {
    for user in ["alice", "bob"] {
        store.create_session(ACME, session_of(user)).await?;
    }
    let kept = store.create_session(GLOBEX, session_of("alice")).await?;
    let open = mcp_session(McpScope::Federated);
    store.create_mcp_session(ACME, &open).await?;

    ensure!(store.retire(ACME).await? == 3);
    for user in ["alice", "bob"] {
        let left = store.list_sessions(ACME, user, FIRST_PAGE).await?;
        ensure!(left.items.is_empty(), "{user} still has {:?}", left.items);
    }
    let left = store.mcp_session(ACME, "alice", open.id).await?;
    ensure!(left.is_none(), "the MCP session is still there");
    let found = store.touch_session(GLOBEX, "alice", kept.id).await?;
    ensure!(found.is_some(), "another tenant's session was ended");
    ensure!(store.retire(ACME).await? == 0, "something was left");
    Ok(())
}
