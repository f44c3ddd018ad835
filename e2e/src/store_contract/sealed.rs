//! Sealed values across tenants: the check at start, and encrypting anew.

use std::collections::BTreeSet;

use agentapi_gateway::encryption::{EncryptionKeys, SealedColumn};
use agentapi_gateway::rekeying::{KeysError, Progress, check, rewrap};
use agentapi_gateway::store::{CredentialsChange, SealedMcpConfig, SealedRow, TenantId};
use anyhow::{Context, Result, ensure};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::mcp_configs::{keys, mcp_config};
use super::{ACME, AnyStore, GLOBEX};

const COLUMN: SealedColumn = SealedColumn::McpCredentials;

/// Puts a server with a sealed credential into a tenant.
async fn put(
    store: &AnyStore,
    tenant: TenantId,
    name: &str,
    keys: &EncryptionKeys,
) -> Result<SealedMcpConfig> {
    let new = mcp_config(tenant, "alice", name, keys)?;
    store
        .create_mcp_config(tenant, new.clone(), 1000, None)
        .await?;
    Ok(new)
}

async fn of_key(store: &AnyStore, id: &str) -> Result<Vec<SealedRow>> {
    Ok(store.sealed_rows(COLUMN, id, None, 1000).await?)
}

/// Every key that has sealed anything is found, in whatever tenant.
pub async fn the_keys_that_are_needed_are_found_in_all_tenants(store: AnyStore) -> Result<()> {
    put(&store, ACME, "one", &keys(&["contract-a"])?).await?;
    put(&store, GLOBEX, "two", &keys(&["contract-b"])?).await?;
    put(&store, GLOBEX, "three", &keys(&["contract-b"])?).await?;
    let found: BTreeSet<_> = store.sealed_key_ids(COLUMN).await?.into_iter().collect();
    for id in ["contract-a", "contract-b"] {
        ensure!(found.contains(id), "{id} is not found: {found:?}");
    }
    assert_eq!(store.count_sealed(COLUMN, "contract-b").await?, 2);
    assert_eq!(of_key(&store, "contract-a").await?.len(), 1);
    Ok(())
}

/// Rows of a key come in one order, and a page begins after the row that it is told.
pub async fn sealed_values_are_read_in_pages(store: AnyStore) -> Result<()> {
    let ring = keys(&["contract-a"])?;
    for number in 0..5 {
        let tenant = if number % 2 == 0 { ACME } else { GLOBEX };
        put(&store, tenant, &format!("s{number}"), &ring).await?;
    }
    let whole = of_key(&store, "contract-a").await?;
    let mut paged = Vec::new();
    loop {
        let after = paged
            .last()
            .map(|row: &SealedRow| (row.location.tenant, row.location.row));
        let page = store.sealed_rows(COLUMN, "contract-a", after, 2).await?;
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!((paged.len(), &paged), (5, &whole));
    Ok(())
}

/// What somebody has changed between reading and writing stays as they wrote it.
pub async fn a_value_that_was_changed_meanwhile_is_not_replaced(store: AnyStore) -> Result<()> {
    let (old, new) = (keys(&["contract-a"])?, keys(&["contract-b", "contract-a"])?);
    let row = put(&store, ACME, "one", &old).await?;
    let read = of_key(&store, "contract-a")
        .await?
        .pop()
        .context("there is one")?;
    let written = old.seal(&read.location, &r#"{"authorization":"new"}"#.into())?;
    let change = CredentialsChange::Replace(Some(written.clone()));
    let (id, settings) = (row.config.id, &row.config.settings);
    store
        .change_mcp_config(ACME, "alice", id, 1, settings, &change)
        .await?;
    let replacement = new.rewrap(&read.location, &read.bytes)?;
    let replaced = store.replace_sealed(COLUMN, &[(read, replacement)]).await?;
    let kept = store
        .mcp_config(ACME, "alice", id)
        .await?
        .context("it is there")?;
    assert_eq!((replaced, kept.credentials), (0, Some(written)));
    Ok(())
}

/// After it the old key is not needed, every secret is what it was, and doing it again does nothing.
pub async fn everything_that_old_keys_sealed_is_encrypted_anew_once(store: AnyStore) -> Result<()> {
    let old = keys(&["contract-a"])?;
    for (tenant, name) in [(ACME, "one"), (GLOBEX, "two")] {
        for number in 0..60 {
            put(&store, tenant, &format!("{name}-{number}"), &old).await?;
        }
    }
    let rotated = keys(&["contract-b", "contract-a"])?;
    let mut steps = Vec::new();
    let outcome = rewrap(&*store, &rotated, |progress| steps.push(progress)).await?;
    assert_eq!((outcome.replaced, outcome.overtaken), (120, 0));
    ensure!(
        outcome.unopened.is_empty() && outcome.still_needed.is_empty(),
        "{outcome:?}"
    );
    let all = Progress {
        done: 120,
        total: 120,
    };
    assert_eq!(steps.last(), Some(&all), "{steps:?}");
    ensure!(
        steps.len() > 2,
        "progress comes with every batch: {steps:?}"
    );

    let alone = keys(&["contract-b"])?;
    check(&*store, Some(&alone)).await?;
    for row in of_key(&store, "contract-b").await? {
        let secret = alone.open_bytes(&row.location, &row.bytes)?;
        assert_eq!(secret.expose_secret(), r#"{"authorization":"hunter2"}"#);
    }
    let again = rewrap(&*store, &rotated, |_| {}).await?;
    assert_eq!(again.replaced, 0);
    Ok(())
}

/// A value that does not open is named, stays as it is, and hides no other.
pub async fn a_value_that_does_not_open_is_named_and_hides_no_other(store: AnyStore) -> Result<()> {
    let old = keys(&["contract-a"])?;
    let wrong = put(&store, ACME, "one", &old).await?;
    let right = put(&store, ACME, "two", &old).await?;
    // The ciphertext of one row in another one.
    let moved = CredentialsChange::Replace(right.credentials);
    let (id, settings) = (wrong.config.id, &wrong.config.settings);
    store
        .change_mcp_config(ACME, "alice", id, 1, settings, &moved)
        .await?;
    let outcome = rewrap(&*store, &keys(&["contract-b", "contract-a"])?, |_| {}).await?;
    let unopened: Vec<Uuid> = outcome
        .unopened
        .iter()
        .map(|row| row.location.row)
        .collect();
    assert_eq!((outcome.replaced, unopened), (1, vec![id]));
    assert_eq!(outcome.still_needed, ["contract-a"]);
    Ok(())
}

/// A missing key, a wrong one under the right name, and no key at all are told apart.
pub async fn keys_that_do_not_open_what_is_stored_are_refused(store: AnyStore) -> Result<()> {
    put(&store, ACME, "one", &keys(&["contract-a"])?).await?;
    check(&*store, Some(&keys(&["contract-b", "contract-a"])?)).await?;
    let missing = check(&*store, Some(&keys(&["contract-b"])?)).await;
    let named = matches!(&missing, Err(KeysError::Missing { id, configured, .. }) if id == "contract-a" && configured == "contract-b");
    assert!(named, "{missing:?}");
    let none = check(&*store, None).await;
    assert!(
        matches!(none, Err(KeysError::NotConfigured { .. })),
        "{none:?}"
    );
    let zeros = "contract-a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let impostor = EncryptionKeys::parse(&zeros.into())?.context("there is a key")?;
    let wrong = check(&*store, Some(&impostor)).await;
    assert!(matches!(wrong, Err(KeysError::Wrong { .. })), "{wrong:?}");
    Ok(())
}
