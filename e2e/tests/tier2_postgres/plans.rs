//! The plans of the store's own statements, as PostgreSQL reports them while the
//! contract runs on a filled database: `auto_explain` sends each to the client.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::store_contract;
use agentapi_e2e::store_contract::AnyStore;
use agentapi_gateway::store;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, query_as, query_scalar};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::{Layer, filter};

use super::filled::{tenant_tables, with_filled};

/// What is sent by the databases of this process, until it is taken.
static REPORTED: OnceLock<Arc<Mutex<Vec<String>>>> = OnceLock::new();
/// The filled database.
static TEMPLATE: OnceLock<String> = OnceLock::new();
/// Statements seen with their plans.
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// How PostgreSQL's own check of a foreign key begins, when a new and empty
/// partition is attached.
const CHECK_OF_NEW_PARTITION: &str = "SELECT fk.";

/// Tests that open every sealed value there is: those of the filled database are none.
const WALK_SEALED_VALUES: [&str; 5] = [
    "the_keys_that_are_needed_are_found_in_all_tenants",
    "a_value_that_was_changed_meanwhile_is_not_replaced",
    "everything_that_old_keys_sealed_is_encrypted_anew_once",
    "a_value_that_does_not_open_is_named_and_hides_no_other",
    "keys_that_do_not_open_what_is_stored_are_refused",
];

/// The settings of a session that reports its plans.
const REPORT_PLANS: [(&str, &str); 5] = [
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_min_duration", "0"),
    ("auto_explain.log_format", "json"),
    ("auto_explain.log_nested_statements", "on"),
    ("client_min_messages", "log"),
];

/// Collects the notices of the driver.
struct Notices(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Notices {
    fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        event.record(&mut Message(&self.0));
    }
}

struct Message<'a>(&'a Mutex<Vec<String>>);

impl Visit for Message<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            reported.push(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }
}

/// One reported plan.
struct Reported {
    query: String,
    plan: Value,
}

/// Takes what was reported since the last call.
fn take_reported() -> Vec<Reported> {
    let Some(reported) = REPORTED.get() else {
        return Vec::new();
    };
    let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = |message: String| {
        let (_, json) = message.split_once("plan:\n")?;
        let mut report: Value = serde_json::from_str(json).ok()?;
        Some(Reported {
            query: report["Query Text"].as_str()?.to_owned(),
            plan: report["Plan"].take(),
        })
    };
    reported.drain(..).filter_map(plan).collect()
}

/// The nodes of a plan, the topmost first.
fn nodes(plan: &Value) -> Vec<&Value> {
    let below = plan["Plans"].as_array().into_iter().flatten();
    std::iter::once(plan).chain(below.flat_map(nodes)).collect()
}

/// Tables that a plan reads from beginning to end.
fn read_whole(plan: &Value) -> Vec<&str> {
    nodes(plan)
        .into_iter()
        .filter(|node| node["Node Type"] == "Seq Scan")
        .filter_map(|node| node["Relation Name"].as_str())
        .collect()
}

/// Runs one test of the contract on a copy of the filled database.
async fn expect_indexes<F>(
    name: &'static str,
    test: impl FnOnce(AnyStore) -> F + Send + 'static,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let template = TEMPLATE.get().context("the template is made first")?;
    TestDatabase::with_copy_of(template, move |database| async move {
        if WALK_SEALED_VALUES.contains(&name) {
            let mut superuser = database.connect(database.superuser_url()).await?;
            superuser.execute("TRUNCATE oauth_tokens").await?;
        }
        for (setting, value) in REPORT_PLANS {
            database.set_for_login(setting, value).await?;
        }
        take_reported();
        let result = test(store::open(&database.gateway_url()).await?).await;
        let reported = take_reported();
        result.with_context(|| format!("{name} fails on a filled database"))?;
        ensure!(!reported.is_empty(), "{name}: no plan was reported");
        let mut superuser = database.connect(database.superuser_url()).await?;
        let tables = tenant_tables(&mut superuser).await?;
        for Reported { query, plan } in reported {
            if query.starts_with(CHECK_OF_NEW_PARTITION) {
                continue;
            }
            for table in read_whole(&plan) {
                let of_tenants = tables
                    .iter()
                    .any(|known| table == known || table.starts_with(&format!("{known}_")));
                ensure!(
                    !of_tenants,
                    "{name} reads the whole table {table}:\n{query}\n{plan:#}"
                );
            }
            SEEN.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(query);
        }
        Ok(())
    })
    .await
}

store_contract!(each expect_indexes);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_of_the_store_reads_a_whole_table_of_tenants() -> Result<()> {
    let reported = REPORTED.get_or_init(Arc::default).clone();
    let notices =
        filter::Targets::new().with_target("sqlx::postgres::notice", tracing::Level::TRACE);
    let subscriber = tracing_subscriber::registry().with(Notices(reported).with_filter(notices));
    tracing::subscriber::set_global_default(subscriber)?;
    with_filled(|template| async move {
        TEMPLATE
            .set(template)
            .ok()
            .context("there is one template")?;
        each().await?;
        let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tables = |table: &str| seen.iter().filter(|query| query.contains(table)).count();
        assert!(
            seen.len() > 30 && of_tables("audit_logs") > 3 && of_tables("sessions") > 5,
            "too few statements were seen, so this shows nothing: {seen:#?}"
        );
        Ok(())
    })
    .await
}

/// Statements as a careless caller would write them, `AND` what a careful one adds.
const READS: [(&str, &str); 4] = [
    (
        "SELECT * FROM sessions WHERE user_id = 'user-1'{} ORDER BY id DESC LIMIT 50",
        "AND",
    ),
    (
        "SELECT * FROM mcp_upstreams WHERE mcp_session_id = '00000000-0000-0000-0000-0000deadbeef'{}",
        "AND",
    ),
    (
        "SELECT * FROM audit_logs{} ORDER BY id DESC LIMIT 50",
        "WHERE",
    ),
    (
        "SELECT * FROM audit_checkpoints WHERE number > 3{} ORDER BY number LIMIT 50",
        "AND",
    ),
];

/// The kinds of nodes of a plan, with the index of each.
fn shape(plan: &Value) -> Vec<String> {
    let shape = |node: &Value| {
        let index = node["Index Name"].as_str().unwrap_or_default();
        format!("{} {index}", node["Node Type"].as_str().unwrap_or_default())
    };
    nodes(plan).into_iter().map(shape).collect()
}

async fn explained(connection: &mut PgConnection, statement: String) -> Result<Value> {
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {statement}"));
    let mut plans: Value = query_scalar(explain).fetch_one(connection).await?;
    Ok(plans[0]["Plan"].take())
}

#[tokio::test]
async fn row_level_security_reads_by_the_index_that_an_explicit_predicate_uses() -> Result<()> {
    with_filled(|template| async move {
        TestDatabase::with_copy_of(&template, |database| async move {
            let mut superuser = database.connect(database.superuser_url()).await?;
            superuser.execute("ANALYZE").await?;
            let tenant: (String,) =
                query_as("SELECT tenant_id::text FROM audit_checkpoints LIMIT 1")
                    .fetch_one(&mut superuser)
                    .await?;
            let mut gateway = database.connect(database.gateway_url()).await?;
            let set = format!("SET agentapi.tenant = '{}'", tenant.0);
            gateway.execute(AssertSqlSafe(set)).await?;
            for (statement, word) in READS {
                let secured = explained(&mut gateway, statement.replace("{}", "")).await?;
                let predicate = format!(" {word} tenant_id = '{}'", tenant.0);
                let explicit =
                    explained(&mut superuser, statement.replace("{}", &predicate)).await?;
                assert_eq!(
                    shape(&secured),
                    shape(&explicit),
                    "{statement}\nunder row-level security {secured:#}\nwith a predicate {explicit:#}"
                );
                assert_eq!(read_whole(&secured), [""; 0], "{statement}");
            }
            Ok(())
        })
        .await
    })
    .await
}
