//! The store on SQLite: the contract, and what is SQLite's own.

use std::future::Future;

use agentapi_e2e::store_contract;
use agentapi_e2e::store_contract::AnyStore;
use agentapi_gateway::store::{self, StoreError, TenantId};
use anyhow::Result;
use secrecy::SecretString;
use uuid::Uuid;

async fn with_sqlite<F: Future<Output = Result<()>>>(
    test: impl FnOnce(AnyStore) -> F,
) -> Result<()> {
    let directory = tempfile::tempdir()?;
    test(store::open(&url(&directory)).await?).await
}

fn url(directory: &tempfile::TempDir) -> SecretString {
    format!("sqlite:{}", directory.path().join("agentapi.db").display()).into()
}

store_contract!(with_sqlite);

#[tokio::test]
async fn a_second_process_is_refused_and_told_why() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let _first = store::open(&url(&directory)).await?;
    let second = store::open(&url(&directory)).await.map(drop);
    assert!(
        matches!(second, Err(StoreError::InUse { .. })),
        "{second:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let tenant = TenantId(Uuid::from_u128(1));
    let new = store::NewSession {
        user: "alice".to_owned(),
        workspace: "default".to_owned(),
        metadata: serde_json::json!({}),
        expires_at: jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1),
        idle_timeout_seconds: 600,
        max_per_user: 1,
    };
    let first = store::open(&url(&directory)).await?;
    let session = first.create_session(tenant, new).await?;
    drop(first);
    let again = store::open(&url(&directory)).await?;
    assert_eq!(
        again.touch_session(tenant, "alice", session.id).await?,
        Some(session)
    );
    Ok(())
}

#[tokio::test]
async fn a_database_in_memory_works_as_well() -> Result<()> {
    let store = store::open(&SecretString::from("sqlite::memory:")).await?;
    store_contract::sessions_are_listed_newest_first_in_pages(store).await
}

#[tokio::test]
async fn a_url_of_an_unknown_database_is_refused_and_not_repeated() {
    let url = SecretString::from("mysql://root:hunter2@localhost/agentapi");
    let Err(error) = store::open(&url).await else {
        panic!("a URL of MySQL was opened")
    };
    assert!(matches!(error, StoreError::UnknownScheme), "{error:?}");
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
}
