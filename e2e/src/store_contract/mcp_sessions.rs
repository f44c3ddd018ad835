//! MCP sessions of clients.

use agentapi_gateway::store::{McpScope, McpSession, UpstreamState};
use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{ACME, AnyStore, GLOBEX, in_an_hour, session_of};

pub(super) fn mcp_session(scope: McpScope) -> McpSession {
    McpSession {
        id: Uuid::new_v4(),
        user: "alice".to_owned(),
        workspace: "default".to_owned(),
        scope,
        protocol_version: "2025-11-25".to_owned(),
        client_capabilities: json!({"roots": {"listChanged": true}}),
        client_info: json!({"name": "client", "version": "1"}),
        // Databases keep microseconds.
        expires_at: in_an_hour()
            .round(jiff::Unit::Microsecond)
            .unwrap_or_default(),
        upstreams: [("notes".to_owned(), upstream(Some("upstream-1")))].into(),
    }
}

fn upstream(session_id: Option<&str>) -> UpstreamState {
    UpstreamState {
        session_id: session_id.map(str::to_owned),
        protocol_version: "2025-06-18".to_owned(),
    }
}

/// Every scope, with capabilities and upstreams.
pub async fn an_mcp_session_reads_back_with_its_upstreams(store: AnyStore) -> Result<()> {
    let agent = store.create_session(ACME, session_of("alice")).await?.id;
    for scope in [
        McpScope::Federated,
        McpScope::Server("notes".to_owned()),
        McpScope::Session(agent),
    ] {
        let session = mcp_session(scope);
        store.create_mcp_session(ACME, &session).await?;
        assert_eq!(
            store.mcp_session(ACME, "alice", session.id).await?,
            Some(session)
        );
    }
    Ok(())
}

/// Every function answers for someone else's session as for one that never was.
pub async fn an_mcp_session_is_another_users_and_another_tenants_no_business(
    store: AnyStore,
) -> Result<()> {
    let session = mcp_session(McpScope::Federated);
    store.create_mcp_session(ACME, &session).await?;
    for (tenant, user) in [(ACME, "bob"), (GLOBEX, "alice")] {
        let seen = store.mcp_session(tenant, user, session.id).await?;
        assert_eq!(seen, None, "{user} of {tenant:?} reads it");
        let ended = store.end_mcp_session(tenant, user, session.id).await?;
        assert!(!ended, "{user} of {tenant:?} ends it");
    }
    assert!(
        store.end_mcp_session(ACME, "alice", session.id).await?,
        "its own user ends it"
    );
    assert_eq!(store.mcp_session(ACME, "alice", session.id).await?, None);
    Ok(())
}

/// `expires_at` is absolute.
pub async fn an_mcp_session_past_its_end_does_not_answer(store: AnyStore) -> Result<()> {
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    let session = McpSession {
        expires_at: past,
        ..mcp_session(McpScope::Federated)
    };
    store.create_mcp_session(ACME, &session).await?;
    assert_eq!(store.mcp_session(ACME, "alice", session.id).await?, None);
    assert!(!store.end_mcp_session(ACME, "alice", session.id).await?);
    Ok(())
}

/// The last one put is the one read; others stay.
pub async fn an_upstream_can_be_replaced(store: AnyStore) -> Result<()> {
    let session = mcp_session(McpScope::Federated);
    store.create_mcp_session(ACME, &session).await?;
    store
        .put_upstream(ACME, session.id, "notes", &upstream(Some("upstream-2")))
        .await?;
    store
        .put_upstream(ACME, session.id, "clock", &upstream(None))
        .await?;
    let read = store
        .mcp_session(ACME, "alice", session.id)
        .await?
        .context("the session is there")?;
    let expected = [
        ("clock".to_owned(), upstream(None)),
        ("notes".to_owned(), upstream(Some("upstream-2"))),
    ];
    assert_eq!(read.upstreams, expected.into());
    Ok(())
}

/// A call that ends after its session did leaves nothing behind.
pub async fn an_upstream_of_a_session_that_has_ended_is_not_kept(store: AnyStore) -> Result<()> {
    let session = McpSession {
        upstreams: Default::default(),
        ..mcp_session(McpScope::Federated)
    };
    store.create_mcp_session(ACME, &session).await?;
    store.end_mcp_session(ACME, "alice", session.id).await?;
    store
        .put_upstream(ACME, session.id, "notes", &upstream(Some("upstream-1")))
        .await?;
    store.create_mcp_session(ACME, &session).await?;
    assert_eq!(
        store.mcp_session(ACME, "alice", session.id).await?,
        Some(session)
    );
    Ok(())
}

/// Knowing the id of a session is not enough.
pub async fn an_upstream_is_put_into_no_other_tenants_session(store: AnyStore) -> Result<()> {
    let session = mcp_session(McpScope::Federated);
    store.create_mcp_session(ACME, &session).await?;
    store
        .put_upstream(GLOBEX, session.id, "notes", &upstream(Some("foreign")))
        .await?;
    assert_eq!(
        store.mcp_session(ACME, "alice", session.id).await?,
        Some(session)
    );
    Ok(())
}

/// What was opened within an agent session ends with it.
pub async fn ending_a_session_ends_the_mcp_sessions_in_it(store: AnyStore) -> Result<()> {
    let agent = store.create_session(ACME, session_of("alice")).await?.id;
    let (inside, outside) = (
        mcp_session(McpScope::Session(agent)),
        mcp_session(McpScope::Federated),
    );
    store.create_mcp_session(ACME, &inside).await?;
    store.create_mcp_session(ACME, &outside).await?;
    store.end_session(ACME, "alice", agent).await?;
    assert_eq!(store.mcp_session(ACME, "alice", inside.id).await?, None);
    assert_eq!(
        store.mcp_session(ACME, "alice", outside.id).await?,
        Some(outside)
    );
    Ok(())
}
