//! Row-level security by mutation: with each policy dropped, opened or switched off
//! in turn, at least one of the checks must fail. A check that no mutation makes
//! fail would show nothing.

use std::sync::Arc;
use std::time::Duration;

use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::store_contract;
use agentapi_gateway::store::{self, Settlement, Store, TenantId};
use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, query_as, query_scalar};
use uuid::Uuid;

use super::filled::tenant_tables;
use super::isolation::filled;

const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));
const NOBODY: &str = "00000000-0000-0000-0000-0000deadbeef";

/// Tables whose ended rows the sweeper sees, and one that has ended in each.
const SWEPT: [&str; 6] = [
    "sessions",
    "mcp_sessions",
    "api_keys",
    "idempotency_keys",
    "browser_sessions",
    "oauth_authorizations",
];
const ENDED: &str = "
    INSERT INTO sessions
        SELECT tenant_id, gen_random_uuid(), user_id, workspace, metadata, 0, 0, 0, 0 FROM sessions LIMIT 1;
    INSERT INTO mcp_sessions (tenant_id, id, user_id, workspace, protocol_version, client_capabilities, client_info,
            created_at, expires_at)
        SELECT tenant_id, gen_random_uuid(), user_id, workspace, '2025-11-25', '{}', '{}', 0, 0 FROM sessions LIMIT 1;
    INSERT INTO api_keys (tenant_id, id, user_id, name, secret_hash, roles, scopes, created_at, expires_at)
        SELECT tenant_id, gen_random_uuid(), user_id, 'key', decode(repeat('00', 32), 'hex'), '[]', '[]', 0, 0
        FROM sessions LIMIT 1;
    INSERT INTO idempotency_keys (tenant_id, user_id, operation, key, fingerprint, created, expires_at)
        SELECT tenant_id, user_id, 'session.create', 'ended', decode(repeat('00', 32), 'hex'), '{}', 0
        FROM sessions LIMIT 1;
    INSERT INTO browser_sessions (tenant_id, id, user_id, secret_hash, administers, expires_at)
        SELECT tenant_id, gen_random_uuid(), user_id, secret_hash, 0, 0 FROM browser_sessions LIMIT 1;
    INSERT INTO oauth_authorizations (tenant_id, id, browser_session, server, holder, secret_hash, issuer, binding,
            expires_at)
        SELECT tenant_id, gen_random_uuid(), browser_session, server, holder, secret_hash, issuer, binding, 0
        FROM oauth_authorizations LIMIT 1;
    INSERT INTO event_deliveries (tenant_id, id, sink, record_id, created_at, next_attempt_at, dead_at)
        SELECT tenant_id, gen_random_uuid(), 'hook', id, 0, 4102444800000000, 0 FROM sessions LIMIT 1;
    INSERT INTO event_deliveries (tenant_id, id, sink, record_id, created_at, next_attempt_at)
        SELECT tenant_id, gen_random_uuid(), 'hook', id, 0, 4102444800000000 FROM sessions LIMIT 1;
    INSERT INTO event_deliveries (tenant_id, id, sink, record_id, created_at, next_attempt_at)
        SELECT tenant_id, gen_random_uuid(), 'hook', id, 0, 0 FROM sessions LIMIT 1;";
/// What the worker sees of events: one that is due, and a dead letter that has ended.
const EVENTS_OF_THE_WORKER: i64 = 2;
/// An event that was tried already, which nobody may write.
const TRIED: &str = "INSERT INTO event_deliveries (tenant_id, id, sink, record_id, created_at, next_attempt_at, attempts) \
    VALUES (gen_random_uuid(), gen_random_uuid(), 'hook', gen_random_uuid(), 0, 0, 5)";

/// A policy as it can be made again.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Policy {
    tablename: String,
    policyname: String,
    cmd: String,
    roles: Vec<String>,
    qual: Option<String>,
    with_check: Option<String>,
}

impl Policy {
    async fn all(superuser: &mut PgConnection) -> Result<Vec<Self>> {
        let policies = query_as(
            "SELECT tablename::text, policyname::text, cmd, roles::text[], qual, with_check \
             FROM pg_policies WHERE schemaname = 'public' ORDER BY tablename, policyname",
        );
        Ok(policies.fetch_all(superuser).await?)
    }

    fn place(&self) -> String {
        format!("{} ON {}", self.policyname, self.tablename)
    }

    fn drop(&self) -> String {
        format!("DROP POLICY {}", self.place())
    }

    fn create(&self) -> String {
        let (command, roles) = (&self.cmd, self.roles.join(", "));
        let place = self.place();
        let clauses = self.clauses(self.qual.as_deref(), self.with_check.as_deref());
        format!("CREATE POLICY {place} FOR {command} TO {roles}{clauses}")
    }

    /// The same policy for every row; `None` where it is that already.
    fn open(&self) -> Option<String> {
        let open = |expression: &Option<String>| expression.as_ref().map(|_| "true".to_owned());
        let (qual, with_check) = (open(&self.qual), open(&self.with_check));
        let is_open = (&qual, &with_check) == (&self.qual, &self.with_check);
        let clauses = self.clauses(qual.as_deref(), with_check.as_deref());
        (!is_open).then(|| format!("ALTER POLICY {}{clauses}", self.place()))
    }

    fn restore(&self) -> String {
        let clauses = self.clauses(self.qual.as_deref(), self.with_check.as_deref());
        format!("ALTER POLICY {}{clauses}", self.place())
    }

    fn clauses(&self, qual: Option<&str>, with_check: Option<&str>) -> String {
        let using = qual.map(|qual| format!(" USING ({qual})"));
        let check = with_check.map(|check| format!(" WITH CHECK ({check})"));
        using.unwrap_or_default() + &check.unwrap_or_default()
    }
}

/// What holds as long as every policy is as it should be.
async fn checks(database: &TestDatabase, store: &Arc<dyn Store>) -> Result<()> {
    let mut gateway = database.connect(database.gateway_url()).await?;
    let tables = tenant_tables(&mut gateway).await?;
    for table in &tables {
        let table = table.as_str();
        ensure!(
            rows(&mut gateway, table, &ACME.0.to_string()).await? > 0,
            "own rows of {table}"
        );
        for tenant in ["", NOBODY] {
            ensure!(
                rows(&mut gateway, table, tenant).await? == 0,
                "rows of {table} for {tenant:?}"
            );
        }
    }
    gateway.execute("RESET agentapi.tenant").await?;
    for table in &tables {
        ensure!(
            count(&mut gateway, table).await? == 0,
            "rows of {table} without a tenant"
        );
    }
    for statement in [
        format!("INSERT INTO organizations VALUES ('{NOBODY}', 0)"),
        format!(
            "INSERT INTO sessions VALUES ('{}', gen_random_uuid(), 'mallory', 'default', '{{}}', 0, 0, 0, 0)",
            ACME.0
        ),
    ] {
        let set = format!("SET agentapi.tenant = '{}'", Uuid::from_u128(0xBAD));
        gateway.execute(AssertSqlSafe(set)).await?;
        let written = gateway.execute(AssertSqlSafe(statement)).await;
        ensure!(written.is_err(), "a row of another tenant was written");
    }
    gateway.execute("SET ROLE agentapi_worker").await?;
    for table in SWEPT {
        let seen = count(&mut gateway, table).await?;
        ensure!(seen == 1, "the sweeper sees {seen} rows of {table}");
    }
    // Of the contract's two servers one needs a credential.
    let sealed = count(&mut gateway, "mcp_configs").await?;
    ensure!(sealed == 1, "the worker sees {sealed} rows of mcp_configs");
    let seen = count(&mut gateway, "event_deliveries").await?;
    ensure!(
        seen == EVENTS_OF_THE_WORKER,
        "the worker sees {seen} events"
    );
    // What a mutation lets be written must not stay for the checks of the next.
    gateway.execute("BEGIN").await?;
    let written = gateway.execute(TRIED).await;
    gateway.execute("ROLLBACK").await?;
    ensure!(
        written.is_err(),
        "an event was written that was tried already"
    );
    owner_sees_one_tenant(database).await?;
    jobs_are_done(store.clone()).await
}

/// The owner is bound as well: its functions are called by the gateway's worker.
async fn owner_sees_one_tenant(database: &TestDatabase) -> Result<()> {
    let mut owner = database.connect(database.owner_url()).await?;
    for table in [
        "sessions",
        "organizations",
        "mcp_sessions",
        "mcp_upstreams",
        "audit_logs",
    ] {
        ensure!(
            count(&mut owner, table).await? == 0,
            "the owner sees rows of {table}"
        );
    }
    Ok(())
}

/// What the narrow policies are for still works.
async fn jobs_are_done(store: Arc<dyn Store>) -> Result<()> {
    let tests = tokio::spawn(async move {
        store_contract::erase_a_new_actor(store.clone()).await?;
        write_and_settle_an_event(&store).await?;
        store_contract::revoke_a_new_connection(store.clone()).await?;
        store_contract::remove_a_new_expired_chain(store).await
    });
    tests.await?
}

/// Leaves no more events than there were.
async fn write_and_settle_an_event(store: &Arc<dyn Store>) -> Result<()> {
    store_contract::write_a_new_event(store.clone()).await?;
    let newest = store
        .take_deliveries(ACME, "hook", Duration::ZERO, 10)
        .await?
        .pop();
    let event = newest.context("the event is not there")?;
    store
        .settle_delivery(ACME, event.id, event.attempts, &Settlement::Delivered)
        .await?;
    Ok(())
}

async fn rows(connection: &mut PgConnection, table: &str, tenant: &str) -> Result<i64> {
    let set = format!("SET agentapi.tenant = '{tenant}'");
    connection.execute(AssertSqlSafe(set)).await?;
    count(connection, table).await
}

async fn count(connection: &mut PgConnection, table: &str) -> Result<i64> {
    let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    Ok(query_scalar(count).fetch_one(connection).await?)
}

/// A change that takes something away from row-level security, and how to undo it.
struct Mutation {
    change: String,
    undo: String,
}

async fn mutations(superuser: &mut PgConnection) -> Result<Vec<Mutation>> {
    let mut mutations = Vec::new();
    for policy in Policy::all(superuser).await? {
        mutations.push(Mutation {
            change: policy.drop(),
            undo: policy.create(),
        });
        let undo = policy.restore();
        mutations.extend(policy.open().map(|change| Mutation { change, undo }));
    }
    for table in tenant_tables(superuser).await? {
        mutations.push(Mutation {
            change: format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"),
            undo: format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
        });
    }
    Ok(mutations)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mutation_of_a_policy_is_noticed() -> Result<()> {
    TestDatabase::with(|database| async move {
        filled(&database).await?;
        let store = store::open(&database.gateway_url()).await?;
        let mut superuser = database.connect(database.superuser_url()).await?;
        superuser.execute(ENDED).await?;
        checks(&database, &store).await?;
        let mutations = mutations(&mut superuser).await?;
        assert!(
            mutations.len() > 15,
            "there are only {} mutations",
            mutations.len()
        );
        let mut unnoticed = Vec::new();
        for Mutation { change, undo } in mutations {
            superuser.execute(AssertSqlSafe(change.clone())).await?;
            if checks(&database, &store).await.is_ok() {
                unnoticed.push(change);
            }
            superuser.execute(AssertSqlSafe(undo)).await?;
        }
        assert_eq!(unnoticed, [""; 0], "no check failed");
        checks(&database, &store).await
    })
    .await
}
