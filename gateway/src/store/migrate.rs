//! Bringing a schema up to date. The migrations are part of the program.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};

use super::{Database, StoreError, open};

pub(super) static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");
pub(super) static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");

/// What [`migrate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// Versions applied now, oldest first; empty if there was nothing to do.
    pub applied: Vec<i64>,
    /// The schema's version now.
    pub version: i64,
}

/// Why a schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A migration failed. It was rolled back; those before it stay.
    #[error(
        "a migration failed: is the URL that of the schema's owner (agentapi_owner), and did migrations/bootstrap.sql run?"
    )]
    Failed(#[from] sqlx::migrate::MigrateError),
}

/// Brings the schema of a database up to date.
///
/// `url` is that of the schema's owner. SQLite needs no call: it migrates itself when opened.
pub async fn migrate(url: &SecretString) -> Result<MigrationReport, MigrateError> {
    if Database::of_url(url)? == Database::Sqlite {
        open(url).await?;
        return Ok(MigrationReport {
            applied: Vec::new(),
            version: latest(&SQLITE),
        });
    }
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(StoreError::Url)?
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .map_err(StoreError::from)?;
    let mut connection = pool.acquire().await.map_err(StoreError::from)?;
    // One after the other, from the first look on: who waits finds nothing to do.
    connection.lock().await?;
    let before = applied_versions(&mut connection).await?;
    // `run` on a connection of our own, which `lock` lets in a second time.
    POSTGRES.run_direct(None, &mut *connection, false).await?;
    connection.unlock().await?;
    drop(connection);
    pool.close().await;

    let applied = POSTGRES
        .iter()
        .map(|migration| migration.version)
        .filter(|version| !before.contains(version))
        .collect();
    Ok(MigrationReport {
        applied,
        version: latest(&POSTGRES),
    })
}

async fn applied_versions(connection: &mut PgConnection) -> Result<Vec<i64>, MigrateError> {
    connection
        .ensure_migrations_table(&POSTGRES.table_name)
        .await?;
    let applied = connection
        .list_applied_migrations(&POSTGRES.table_name)
        .await?;
    Ok(applied
        .into_iter()
        .map(|migration| migration.version)
        .collect())
}

/// The version that a fully migrated schema has.
pub(super) fn latest(migrator: &Migrator) -> i64 {
    migrator
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_has_its_pair() {
        let names = |migrator: &Migrator| -> Vec<(i64, String)> {
            migrator
                .iter()
                .map(|migration| (migration.version, migration.description.to_string()))
                .collect()
        };
        assert_eq!(
            names(&POSTGRES),
            names(&SQLITE),
            "migrations/postgres and migrations/sqlite differ"
        );
    }
}
