//! What the store refuses to open, and how a schema comes to be.

use agentapi_e2e::postgres::TestDatabase;
use agentapi_gateway::store::{self, StoreError};
use anyhow::Result;
use sqlx::Executor;

#[tokio::test]
async fn a_superuser_is_refused() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let refused = store::open(&database.superuser_url()).await.map(drop);
        assert!(
            matches!(refused, Err(StoreError::PrivilegedRole { .. })),
            "{refused:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_superuser_in_the_gateways_clothes_is_refused() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        // `RESET ROLE` would make it a superuser again.
        let url = secrecy::ExposeSecret::expose_secret(&database.owner_url())
            .replace("agentapi_owner", "agentapi_gateway")
            .into();
        let refused = store::open(&url).await.map(drop);
        assert!(
            matches!(refused, Err(StoreError::PrivilegedRole { .. })),
            "{refused:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_role_that_may_become_the_owner_is_refused() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        database.grant_to_login("agentapi_owner").await?;
        let refused = store::open(&database.gateway_url()).await.map(drop);
        assert!(
            matches!(refused, Err(StoreError::PrivilegedRole { .. })),
            "{refused:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_schema_that_was_never_migrated_is_refused() -> Result<()> {
    TestDatabase::with(|database| async move {
        let refused = store::open(&database.gateway_url()).await.map(drop);
        assert!(
            matches!(refused, Err(StoreError::SchemaOutdated { found: 0, .. })),
            "{refused:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_older_schema_is_refused() -> Result<()> {
    TestDatabase::with(|database| async move {
        let needed = store::migrate(&database.owner_url()).await?.version;
        let mut owner = database.connect(database.owner_url()).await?;
        owner.execute("DELETE FROM _sqlx_migrations WHERE version > 1").await?;
        let refused = store::open(&database.gateway_url()).await.map(drop);
        let expected = matches!(refused, Err(StoreError::SchemaOutdated { found: 1, needed: n }) if n == needed);
        assert!(expected, "{refused:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn migrating_again_changes_nothing() -> Result<()> {
    TestDatabase::with(|database| async move {
        let first = store::migrate(&database.owner_url()).await?;
        let again = store::migrate(&database.owner_url()).await?;
        assert_eq!(
            (first.applied.last(), again.applied.len()),
            (Some(&first.version), 0)
        );
        assert_eq!(first.version, again.version);
        Ok(())
    })
    .await
}
