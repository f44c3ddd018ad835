//! What the gateway's roles may not do, whoever speaks through them.

use agentapi_e2e::postgres::TestDatabase;
use agentapi_gateway::store;
use anyhow::Result;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr, query_as, query_scalar};

const BECOME_WORKER: &str = "SET ROLE agentapi_worker";
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Runs each statement as a role and expects that it is denied for want of rights.
async fn denied(statements: &'static [&'static str], role: Option<&'static str>) -> Result<()> {
    TestDatabase::with(move |database| async move {
        store::migrate(&database.owner_url()).await?;
        let mut connection = database.connect(database.gateway_url()).await?;
        if let Some(role) = role {
            connection.execute(role).await?;
        }
        for statement in statements {
            expect_denied(&mut connection, *statement).await;
        }
        Ok(())
    })
    .await
}

async fn expect_denied(connection: &mut PgConnection, statement: impl SqlSafeStr) {
    let statement = statement.into_sql_str();
    let text = statement.as_str().to_owned();
    let result = connection.execute(statement).await;
    let code = result
        .as_ref()
        .err()
        .and_then(|error| error.as_database_error()?.code())
        .map(String::from);
    assert_eq!(
        code.as_deref(),
        Some(INSUFFICIENT_PRIVILEGE),
        "{text}: {result:?}"
    );
}

const CHANGE_THE_RECORD: &[&str] = &[
    "UPDATE audit_logs SET resource = 'x'",
    "UPDATE audit_logs SET actor = NULL",
    "DELETE FROM audit_logs",
    "TRUNCATE audit_logs",
    "DELETE FROM audit_writers",
    "UPDATE audit_writers SET opened_at = 0",
    "TRUNCATE audit_writers CASCADE",
    "DELETE FROM audit_chains",
    "UPDATE audit_chains SET writer = gen_random_uuid()",
    "TRUNCATE audit_chains CASCADE",
    "UPDATE audit_checkpoints SET document = ''",
    "DELETE FROM audit_checkpoints",
    "TRUNCATE audit_checkpoints",
];

#[tokio::test]
async fn the_gateway_cannot_change_the_audit_record() -> Result<()> {
    denied(CHANGE_THE_RECORD, None).await
}

#[tokio::test]
async fn the_worker_cannot_change_the_audit_record() -> Result<()> {
    denied(CHANGE_THE_RECORD, Some(BECOME_WORKER)).await
}

#[tokio::test]
async fn the_gateway_writes_records_only_through_the_worker() -> Result<()> {
    denied(
        &[
            "INSERT INTO audit_logs (tenant_id) VALUES (gen_random_uuid())",
            "INSERT INTO event_deliveries (tenant_id) VALUES (gen_random_uuid())",
        ],
        None,
    )
    .await
}

#[tokio::test]
async fn the_worker_reads_and_writes_nothing_else() -> Result<()> {
    let statements = &[
        "SELECT FROM audit_logs",
        "SELECT FROM organizations",
        "SELECT metadata FROM sessions",
        "SELECT user_id FROM sessions",
        "UPDATE sessions SET expires_at = 0",
        "SELECT client_info FROM mcp_sessions",
        "SELECT FROM mcp_upstreams",
        "SELECT user_id FROM mcp_configs",
        "SELECT settings FROM mcp_configs",
        "UPDATE mcp_configs SET settings = '{}'",
        "UPDATE mcp_configs SET version = 2",
        "DELETE FROM mcp_configs",
        "INSERT INTO mcp_configs (tenant_id) VALUES (gen_random_uuid())",
        "SELECT secret_hash FROM api_keys",
        "SELECT created FROM idempotency_keys",
        "SELECT user_id FROM browser_sessions",
        "SELECT secret_hash FROM oauth_authorizations",
        "SELECT holder FROM oauth_tokens",
        "UPDATE oauth_tokens SET state = 'connected'",
        "DELETE FROM oauth_tokens",
        "SELECT FROM session_members",
        "SELECT FROM session_events",
        "DELETE FROM session_events",
        "SELECT FROM audit_checkpoints",
        "SELECT record_id FROM event_deliveries",
        "UPDATE event_deliveries SET attempts = 0",
        "INSERT INTO organizations VALUES (gen_random_uuid(), 0)",
        "INSERT INTO audit_checkpoints (tenant_id) VALUES (gen_random_uuid())",
        "UPDATE audit_chains SET dropped_in = 1",
    ];
    denied(statements, Some(BECOME_WORKER)).await
}

const CHANGE_THE_SCHEMA: &[&str] = &[
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE OR REPLACE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql RETURN gen_random_uuid()",
    "ALTER TABLE sessions DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE sessions NO FORCE ROW LEVEL SECURITY",
    "DROP POLICY one_tenant ON sessions",
    "DROP TABLE sessions",
    "SET ROLE agentapi_owner",
    "UPDATE _sqlx_migrations SET version = 0",
];

#[tokio::test]
async fn the_gateway_cannot_change_the_schema() -> Result<()> {
    denied(CHANGE_THE_SCHEMA, None).await
}

#[tokio::test]
async fn the_worker_cannot_change_the_schema() -> Result<()> {
    denied(CHANGE_THE_SCHEMA, Some(BECOME_WORKER)).await
}

/// Partitions hold the record too, and are no way around it.
#[tokio::test]
async fn nobody_reaches_a_partition_directly() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let mut connection = database.connect(database.gateway_url()).await?;
        let partitions: Vec<String> = query_scalar(
            "SELECT relname::text FROM pg_class WHERE relispartition AND relkind = 'r'",
        )
        .fetch_all(&mut connection)
        .await?;
        assert!(!partitions.is_empty(), "there is no partition");
        for role in ["RESET ROLE", BECOME_WORKER] {
            connection.execute(role).await?;
            for partition in &partitions {
                for statement in ["SELECT FROM", "DELETE FROM", "TRUNCATE", "DROP TABLE"] {
                    let statement = format!("{statement} {partition}");
                    expect_denied(&mut connection, AssertSqlSafe(statement)).await;
                }
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_gateway_itself_cannot_call_the_owners_functions() -> Result<()> {
    let statements = &[
        "SELECT audit_erase('alice')",
        "SELECT audit_drop_partition(202001, 30)",
        "SELECT audit_add_partition(202001, 30)",
    ];
    denied(statements, None).await
}

#[tokio::test]
async fn the_worker_has_one_policy_for_each_job() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let mut connection = database.connect(database.superuser_url()).await?;
        let policies: Vec<(String, String)> = query_as(
            "SELECT tablename::text, cmd FROM pg_policies \
             WHERE 'agentapi_worker' = ANY (roles) OR 'public' = ANY (roles) ORDER BY tablename, cmd",
        )
        .fetch_all(&mut connection)
        .await?;
        let policies: Vec<(&str, &str)> = policies
            .iter()
            .map(|(table, command)| (table.as_str(), command.as_str()))
            .collect();
        // "ALL" is what rows it sees; which commands it has at all, the grants say.
        let expected = [
            ("api_keys", "ALL"),
            ("audit_chains", "INSERT"),
            ("audit_chains", "SELECT"),
            ("audit_logs", "INSERT"),
            ("browser_sessions", "ALL"),
            ("event_deliveries", "ALL"),
            ("event_deliveries", "INSERT"),
            ("event_deliveries", "SELECT"),
            ("idempotency_keys", "ALL"),
            ("mcp_configs", "ALL"),
            ("mcp_sessions", "ALL"),
            ("oauth_authorizations", "ALL"),
            ("oauth_tokens", "ALL"),
            ("sessions", "ALL"),
        ];
        assert_eq!(policies, expected);
        Ok(())
    })
    .await
}
