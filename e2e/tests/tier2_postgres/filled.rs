//! A database as full as one that has served for a while, made once and copied.

use agentapi_e2e::postgres::TestDatabase;
use agentapi_gateway::store;
use anyhow::{Result, ensure};
use sqlx::postgres::PgConnection;
use sqlx::{Executor, query_as, query_scalar};

/// Fewest rows of a table of tenants: with less, reading all of them would be right.
const ENOUGH: i64 = 4000;

/// Rows of 200 organizations in every table. Whoever adds a table adds its rows.
const FILL: &[&str] = &[
    "INSERT INTO organizations SELECT gen_random_uuid(), number FROM generate_series(1, 4000) number",
    "CREATE TEMPORARY TABLE busy ON COMMIT PRESERVE ROWS AS \
       SELECT tenant_id, row_number() OVER () AS number FROM (SELECT tenant_id FROM organizations LIMIT 200) chosen",
    "INSERT INTO sessions (tenant_id, id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at) \
       SELECT tenant_id, gen_random_uuid(), 'user-' || item % 10, 'default', '{}', item, 4102444700000000, 600000000, 4102444800000000 \
       FROM busy, generate_series(1, 40) item",
    "INSERT INTO mcp_sessions (tenant_id, id, user_id, workspace, session_id, protocol_version, client_capabilities, \
         client_info, created_at, expires_at) \
       SELECT tenant_id, gen_random_uuid(), user_id, workspace, id, '2025-11-25', '{}', '{}', created_at, expires_at \
       FROM sessions",
    "INSERT INTO mcp_upstreams (tenant_id, mcp_session_id, server, session_id, protocol_version) \
       SELECT tenant_id, id, 'notes', 'upstream', '2025-11-25' FROM mcp_sessions",
    "INSERT INTO session_members (tenant_id, session_id, user_id, role, added_at) \
       SELECT tenant_id, id, 'member', 'viewer', 0 FROM sessions",
    "INSERT INTO session_events (tenant_id, session_id, sequence, time, kind, data) \
       SELECT tenant_id, id, 1, 0, 'session.created', '{}' FROM sessions",
    "INSERT INTO api_keys (tenant_id, id, user_id, name, secret_hash, roles, scopes, created_at, expires_at) \
       SELECT tenant_id, gen_random_uuid(), user_id, 'key', decode(repeat('00', 32), 'hex'), '[]', '[]', 0, expires_at \
       FROM sessions",
    "INSERT INTO idempotency_keys (tenant_id, user_id, operation, key, fingerprint, created, expires_at) \
       SELECT tenant_id, user_id, 'session.create', id::text, decode(repeat('00', 32), 'hex'), '{}', expires_at \
       FROM sessions",
    "INSERT INTO mcp_configs (tenant_id, id, user_id, name, settings, version, created_at, updated_at) \
       SELECT tenant_id, id, user_id, id::text, '{}', 1, 0, 0 FROM sessions",
    "INSERT INTO event_deliveries (tenant_id, id, sink, record_id, created_at, attempts, next_attempt_at, dead_at, last_error) \
       SELECT tenant_id, gen_random_uuid(), 'hook', id, 0, 1, 4102444800000000, \
         CASE WHEN user_id = 'user-0' THEN 4102444800000000 END, 'no connection' FROM sessions",
    "INSERT INTO browser_sessions (tenant_id, id, user_id, secret_hash, administers, expires_at) \
       SELECT tenant_id, id, user_id, decode(repeat('00', 32), 'hex'), 0, expires_at FROM sessions",
    "INSERT INTO oauth_authorizations (tenant_id, id, browser_session, server, holder, secret_hash, issuer, binding, expires_at) \
       SELECT tenant_id, gen_random_uuid(), id, 'notes', user_id, secret_hash, 'https://id.example.com', secret_hash, expires_at \
       FROM browser_sessions",
    "INSERT INTO oauth_tokens (tenant_id, id, server, holder, connected_by, issuer, binding, scopes, tokens, version, state, \
         expires_at, refreshable, connected_at, updated_at) \
       SELECT tenant_id, gen_random_uuid(), 'server-' || id, user_id, user_id, 'https://id.example.com', \
         decode(repeat('00', 32), 'hex'), '[]', decode('010474657374' || repeat('00', 33), 'hex'), 1, 'connected', \
         expires_at, 1, 0, 0 \
       FROM sessions",
    // The months and classes that the contract's tests write to.
    "CREATE TEMPORARY TABLE places ON COMMIT PRESERVE ROWS AS SELECT month, days, gen_random_uuid() AS writer FROM \
       (VALUES (202609, 365), (202001, 30), (202001, 2555), \
               (to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')::integer, 365), \
               (to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYYMM')::integer, 365), \
               (to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')::integer, 30)) AS places (month, days)",
    "SELECT audit_add_partition(month, days) FROM places",
    "INSERT INTO audit_writers (id, month, retention_days, opened_at, seen_at, closed_at) \
       SELECT writer, month, days, 0, 0, 0 FROM places",
    // Five years of restarts, whose records are elsewhere.
    "INSERT INTO audit_writers (id, month, retention_days, opened_at, seen_at, closed_at) \
       SELECT gen_random_uuid(), year * 100 + month, 2555, 0, 0, 0 \
       FROM generate_series(2021, 2025) year, generate_series(1, 12) month",
    "INSERT INTO audit_chains (tenant_id, writer, month, retention_days, closed_in) \
       SELECT tenant_id, id, month, retention_days, 1 FROM busy, audit_writers",
    "INSERT INTO audit_checkpoints (tenant_id, number, time, document, signed_by, signature) \
       SELECT tenant_id, item, item, '{}', 'key', 'signature' FROM busy, generate_series(1, 40) item",
    "INSERT INTO audit_logs (tenant_id, writer, sequence, id, time, organization, actor, address, user_agent, \
         commitment_key, actor_commitment, address_commitment, user_agent_commitment, action, resource, outcome, \
         request_id, previous_hash, hash, month, retention_days) \
       SELECT tenant_id, writer, item, gen_random_uuid(), item, 'acme', 'user-' || item % 10, '192.0.2.7', 'curl/8', \
         decode(repeat('00', 16), 'hex'), zeros, zeros, zeros, 'tool.call', 'notes/add_note', 'success', 'request', \
         zeros, zeros, month, days \
       FROM busy, places, generate_series(1, 40) item, decode(repeat('00', 32), 'hex') zeros",
    "ANALYZE",
];

/// Runs `test` with the name of a filled database, which must not be changed but copied.
pub(super) async fn with_filled<F>(test: impl FnOnce(String) -> F + Send + 'static) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let mut superuser = database.connect(database.superuser_url()).await?;
        for statement in FILL {
            superuser.execute(*statement).await?;
        }
        expect_full(&mut superuser).await?;
        // A database with a connection cannot be copied.
        sqlx::Connection::close(superuser).await?;
        test(database.name().to_owned()).await
    })
    .await
}

async fn expect_full(superuser: &mut PgConnection) -> Result<()> {
    for table in tenant_tables(superuser).await? {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let rows: i64 = query_scalar(count).fetch_one(&mut *superuser).await?;
        ensure!(
            rows >= ENOUGH,
            "{table} has {rows} rows: fill it in e2e/tests/tier2_postgres/filled.rs"
        );
    }
    Ok(())
}

/// The tables that hold rows of tenants, without partitions.
pub(super) async fn tenant_tables(connection: &mut PgConnection) -> Result<Vec<String>> {
    let tables: Vec<(String,)> = query_as(
        "SELECT relname::text FROM pg_class \
         WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace AND EXISTS ( \
           SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id') \
         ORDER BY relname",
    )
    .fetch_all(connection)
    .await?;
    Ok(tables.into_iter().map(|(table,)| table).collect())
}
