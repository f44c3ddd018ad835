//! Secrets at rest, tested behind the store's back, and their encryption anew by
//! the command, killed in the middle.

use std::collections::BTreeSet;
use std::process::Stdio;

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::program::built;
use agentapi_e2e::store_contract::{key_text, keys, mcp_config};
use agentapi_gateway::encryption::SealedColumn;
use agentapi_gateway::rekeying;
use agentapi_gateway::store::{self, Store, TenantId};
use anyhow::{Result, ensure};
use secrecy::ExposeSecret;
use sqlx::{Executor, query_as, query_scalar};
use tokio::process::Command;
use uuid::Uuid;

const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));
const COLUMN: SealedColumn = SealedColumn::McpCredentials;
/// Values that are to be encrypted anew: more than two batches.
const VALUES: u64 = 350;

/// Bytes that are no secret: hashes, salts of commitments, fingerprints.
const NO_SECRETS: [&str; 13] = [
    "api_keys.secret_hash",
    "audit_logs.actor_commitment",
    "audit_logs.address_commitment",
    "audit_logs.commitment_key",
    "audit_logs.hash",
    "audit_logs.previous_hash",
    "audit_logs.user_agent_commitment",
    "browser_sessions.secret_hash",
    "idempotency_keys.fingerprint",
    "oauth_authorizations.binding",
    "oauth_authorizations.secret_hash",
    "oauth_tokens.binding",
    "_sqlx_migrations.checksum",
];

#[tokio::test]
async fn every_column_of_sealed_values_is_checked_at_start_and_rewrapped() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let mut connection = database.connect(database.superuser_url()).await?;
        let columns: Vec<(String, String, Option<String>)> = query_as(
            "SELECT relname::text, attname::text, pg_get_expr(adbin, adrelid) FROM pg_attribute \
             JOIN pg_class ON pg_class.oid = attrelid \
             LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition \
               AND NOT attisdropped AND attnum > 0 AND (atttypid = 'bytea'::regtype OR attgenerated = 's')",
        )
        .fetch_all(&mut connection)
        .await?;
        let known: BTreeSet<String> = SealedColumn::ALL
            .map(|column| format!("{}.{}", column.table(), column.column()))
            .into();
        let mut keyed = BTreeSet::new();
        let mut bytes = BTreeSet::new();
        for (table, column, made_from) in columns {
            match made_from {
                Some(made_from) => {
                    let sealed = column.trim_end_matches("_key");
                    assert_eq!(made_from, format!("sealed_key_id({sealed})"), "{table}.{column}");
                    keyed.insert(format!("{table}.{sealed}"));
                }
                None => drop(bytes.insert(format!("{table}.{column}"))),
            }
        }
        assert_eq!(keyed, known, "columns with a key id, and SealedColumn::ALL");
        let unknown: Vec<_> = bytes
            .iter()
            .filter(|column| !known.contains(*column) && !NO_SECRETS.contains(&column.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}: are they sealed? Then SealedColumn must have them");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn bytes_that_are_no_sealed_value_are_not_kept() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let mut connection = database.connect(database.superuser_url()).await?;
        connection
            .execute("INSERT INTO organizations VALUES ('00000000-0000-0000-0000-000000000ace', 0)")
            .await?;
        let plain = "INSERT INTO mcp_configs (tenant_id, id, user_id, name, settings, credentials, version, created_at, updated_at) \
             VALUES ('00000000-0000-0000-0000-000000000ace', gen_random_uuid(), 'alice', 'notes', '{}', '\\x01', 1, 0, 0)";
        let refused = connection.execute(plain).await;
        assert!(refused.is_err(), "a byte without a key id was kept");
        Ok(())
    })
    .await
}

fn rewrap(database: &TestDatabase) -> Result<Command> {
    let mut command = Command::new(built("agentapi")?);
    command
        .args(["keys", "rewrap"])
        .env(
            "AGENTAPI_DATABASE_URL",
            database.gateway_url().expose_secret(),
        )
        .env("AGENTAPI_ENCRYPTION_KEYS", key_text(&["new", "old"]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewrap_that_was_killed_goes_on_where_it_was_and_the_old_key_can_go() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let store = store::open(&database.gateway_url()).await?;
        let old = keys(&["old"])?;
        for number in 0..VALUES {
            let new = mcp_config(ACME, "alice", &format!("s{number}"), &old)?;
            store.create_mcp_config(ACME, new, 1000, None).await?;
        }
        // Somebody holds a row of the third batch: there it waits, and is killed.
        let mut superuser = database.connect(database.superuser_url()).await?;
        superuser.execute("BEGIN").await?;
        // By its id: rows that an OFFSET passes over would be locked as well.
        let _: Uuid = query_scalar(
            "SELECT id FROM mcp_configs WHERE id = \
               (SELECT id FROM mcp_configs ORDER BY tenant_id, id OFFSET 250 LIMIT 1) FOR UPDATE",
        )
        .fetch_one(&mut superuser)
        .await?;
        let mut killed = rewrap(&database)?.spawn()?;
        eventually("two batches are encrypted anew", async || {
            let done = store.count_sealed(COLUMN, "new").await?;
            ensure!(done == 200, "{done} values are");
            Ok(())
        })
        .await?;
        killed.kill().await?;
        superuser.execute("ROLLBACK").await?;
        assert_eq!(
            left(&*store).await?,
            (200, VALUES - 200),
            "of the new and the old key"
        );

        let output = rewrap(&database)?.output().await?;
        let told = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.success(),
            "{told}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            told.starts_with("150 values are sealed with new now"),
            "{told}"
        );
        assert!(told.contains("agentapi keys rotate --remove old"), "{told}");
        assert_eq!(
            left(&*store).await?,
            (VALUES, 0),
            "of the new and the old key"
        );
        rekeying::check(&*store, Some(&keys(&["new"])?)).await?;
        for row in store.sealed_rows(COLUMN, "new", None, 1000).await? {
            let secret = keys(&["new"])?.open_bytes(&row.location, &row.bytes)?;
            assert_eq!(secret.expose_secret(), r#"{"authorization":"hunter2"}"#);
        }
        Ok(())
    })
    .await
}

async fn left(store: &dyn Store) -> Result<(u64, u64)> {
    let new = store.count_sealed(COLUMN, "new").await?;
    Ok((new, store.count_sealed(COLUMN, "old").await?))
}

#[tokio::test]
async fn a_rewrap_that_cannot_open_a_value_fails_names_it_and_says_what_next() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let store = store::open(&database.gateway_url()).await?;
        let lost = mcp_config(ACME, "alice", "lost", &keys(&["lost"])?)?;
        let id = lost.config.id.to_string();
        store.create_mcp_config(ACME, lost, 10, None).await?;
        let right = mcp_config(ACME, "alice", "right", &keys(&["old"])?)?;
        store.create_mcp_config(ACME, right, 10, None).await?;
        let output = rewrap(&database)?.output().await?;
        let told = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("\"lost\"") && told.contains(&id), "{told}");
        assert!(
            told.lines()
                .last()
                .is_some_and(|last| last.starts_with("try: ")),
            "{told}"
        );
        assert_eq!(left(&*store).await?, (1, 0), "the other value is done");
        Ok(())
    })
    .await
}
