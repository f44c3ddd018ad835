//! Row-level security, tested behind the store's back: what a forgotten tenant
//! predicate would be able to see.

use std::sync::Arc;

use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::store_contract;
use agentapi_gateway::store::{self, TenantId};
use anyhow::Result;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, query_as, query_scalar};
use uuid::Uuid;

/// The tables that hold rows of tenants.
const TENANT_TABLES: [&str; 16] = [
    "organizations",
    "sessions",
    "mcp_sessions",
    "mcp_upstreams",
    "mcp_configs",
    "audit_logs",
    "api_keys",
    "idempotency_keys",
    "session_members",
    "session_events",
    "audit_chains",
    "audit_checkpoints",
    "event_deliveries",
    "browser_sessions",
    "oauth_authorizations",
    "oauth_tokens",
];

/// The tenant that the contract's tests write as.
const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));

/// A database with a row of one tenant in every table.
pub(super) async fn filled(database: &Arc<TestDatabase>) -> Result<PgConnection> {
    store::migrate(&database.owner_url()).await?;
    let store = store::open(&database.gateway_url()).await?;
    store_contract::an_mcp_session_reads_back_with_its_upstreams(store.clone()).await?;
    store_contract::an_mcp_configuration_reads_back_as_it_was_made(store.clone()).await?;
    store_contract::an_api_key_is_made_once_under_its_idempotency_key(store.clone()).await?;
    store_contract::members_change_and_go(store.clone()).await?;
    store_contract::a_connection_and_the_way_to_one(store.clone()).await?;
    // Before anything else writes a record: the checkpoint names every writer.
    store_contract::a_checkpoint_states_the_heads_of_all_writers(store.clone()).await?;
    store_contract::a_dead_letter_is_kept(store).await?;
    database.connect(database.gateway_url()).await
}

/// How many rows of each table a connection sees, without any predicate.
async fn visible(connection: &mut PgConnection) -> Result<Vec<(&'static str, i64)>> {
    let mut visible = Vec::new();
    for table in TENANT_TABLES {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        visible.push((
            table,
            query_scalar(count).fetch_one(&mut *connection).await?,
        ));
    }
    Ok(visible)
}

fn nothing() -> Vec<(&'static str, i64)> {
    TENANT_TABLES.map(|table| (table, 0)).to_vec()
}

#[tokio::test]
async fn the_tenants_own_rows_are_seen() -> Result<()> {
    TestDatabase::with(|database| async move {
        let mut connection = filled(&database).await?;
        let set = format!("SET agentapi.tenant = '{}'", ACME.0);
        connection.execute(AssertSqlSafe(set)).await?;
        let visible = visible(&mut connection).await?;
        assert!(visible.iter().all(|(_, rows)| *rows > 0), "{visible:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_a_tenant_no_row_is_seen() -> Result<()> {
    TestDatabase::with(|database| async move {
        let mut connection = filled(&database).await?;
        assert_eq!(visible(&mut connection).await?, nothing());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_an_empty_tenant_no_row_is_seen() -> Result<()> {
    TestDatabase::with(|database| async move {
        let mut connection = filled(&database).await?;
        connection.execute("SET agentapi.tenant = ''").await?;
        assert_eq!(visible(&mut connection).await?, nothing());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_another_tenant_no_row_is_seen() -> Result<()> {
    TestDatabase::with(|database| async move {
        let mut connection = filled(&database).await?;
        connection
            .execute("SET agentapi.tenant = '00000000-0000-0000-0000-0000deadbeef'")
            .await?;
        assert_eq!(visible(&mut connection).await?, nothing());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_connection_that_served_a_tenant_sees_nothing_of_it_afterwards() -> Result<()> {
    TestDatabase::with(|database| async move {
        let mut connection = filled(&database).await?;
        let begin = format!("BEGIN; SET LOCAL agentapi.tenant = '{}'", ACME.0);
        connection.execute(AssertSqlSafe(begin)).await?;
        assert_ne!(
            visible(&mut connection).await?,
            nothing(),
            "the tenant sees its rows"
        );
        connection.execute("COMMIT").await?;
        assert_eq!(visible(&mut connection).await?, nothing());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_row_of_another_tenant_is_not_written() -> Result<()> {
    TestDatabase::with(|database| async move {
        let mut connection = filled(&database).await?;
        let set = format!("SET agentapi.tenant = '{}'", ACME.0);
        connection.execute(AssertSqlSafe(set)).await?;
        for statement in [
            "INSERT INTO organizations VALUES ('00000000-0000-0000-0000-0000deadbeef', 0)",
            "INSERT INTO sessions VALUES ('00000000-0000-0000-0000-0000deadbeef', gen_random_uuid(), \
             'mallory', 'default', '{}', 0, 0, 0, 0)",
            "UPDATE sessions SET tenant_id = '00000000-0000-0000-0000-0000deadbeef'",
        ] {
            let denied = connection.execute(statement).await.map(drop).map_err(|error| error.to_string());
            assert!(
                matches!(&denied, Err(error) if error.contains("row-level security")),
                "{statement}: {denied:?}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_table_with_tenants_forces_row_level_security() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let mut connection = database.connect(database.superuser_url()).await?;
        let tables: Vec<(String, bool, bool, bool)> = query_as(
            "SELECT relname::text, relispartition, relrowsecurity, relforcerowsecurity FROM pg_class \
             WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND EXISTS ( \
               SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id') \
             ORDER BY relname",
        )
        .fetch_all(&mut connection)
        .await?;
        let names: Vec<&str> = tables
            .iter()
            .filter(|(_, is_partition, ..)| !is_partition)
            .map(|(name, ..)| name.as_str())
            .collect();
        let mut known = TENANT_TABLES;
        known.sort_unstable();
        assert_eq!(
            names, known,
            "a new table with tenants belongs into the list of this file"
        );
        assert!(
            tables
                .iter()
                .all(|(.., enabled, forced)| *enabled && *forced),
            "{tables:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_table_without_tenants_is_known() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let mut connection = database.connect(database.superuser_url()).await?;
        let tables: Vec<String> = query_scalar(
            "SELECT relname::text FROM pg_class \
             WHERE relkind NOT IN ('i', 'I', 't', 'c') AND relnamespace = 'public'::regnamespace AND NOT EXISTS ( \
               SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id') \
             ORDER BY relname",
        )
        .fetch_all(&mut connection)
        .await?;
        assert_eq!(tables, ["_sqlx_migrations", "audit_writers"]);
        Ok(())
    })
    .await
}
