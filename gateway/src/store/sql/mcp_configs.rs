//! Users' own MCP servers.

use async_trait::async_trait;
use uuid::Uuid;

use super::idempotency::Once;
use super::sessions::add_organization;
use super::{Engine, SqlStore, Transaction, Value, json, now, sealed, timestamp};
use crate::domain::user_servers::Settings;
use crate::encryption::Sealed;
use crate::store::{
    Created, CredentialsChange, IdempotencyKey, McpConfig, McpConfigStore, SealedMcpConfig,
    StoreError, TenantId,
};

const OPERATION: &str = "mcp_config.create";

const NAMES: &str = "SELECT name FROM mcp_configs WHERE tenant_id = $1 AND user_id = $2";

const INSERT: &str = "INSERT INTO mcp_configs \
     (tenant_id, id, user_id, name, settings, credentials, version, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7)";

const GET: &str = "SELECT id, user_id, name, settings, credentials, version, created_at, updated_at \
     FROM mcp_configs WHERE tenant_id = $1 AND user_id = $2 AND id = $3";

const LIST: &str = "SELECT id, user_id, name, settings, credentials, version, created_at, updated_at \
     FROM mcp_configs WHERE tenant_id = $1 AND user_id = $2 ORDER BY name";

const CHANGE: &str = "UPDATE mcp_configs SET settings = $5, version = version + 1, updated_at = $6 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND version = $4 \
     RETURNING id, user_id, name, settings, credentials, version, created_at, updated_at";

const CHANGE_WITH_CREDENTIALS: &str = "UPDATE mcp_configs \
     SET settings = $5, version = version + 1, updated_at = $6, credentials = $7 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND version = $4 \
     RETURNING id, user_id, name, settings, credentials, version, created_at, updated_at";

const REMOVE: &str = "DELETE FROM mcp_configs WHERE tenant_id = $1 AND user_id = $2 AND id = $3";

#[derive(sqlx::FromRow)]
struct McpConfigRow {
    id: Uuid,
    user_id: String,
    name: String,
    settings: String,
    credentials: Option<Vec<u8>>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<McpConfigRow> for SealedMcpConfig {
    type Error = StoreError;

    fn try_from(row: McpConfigRow) -> Result<Self, StoreError> {
        const WHAT: &str = "MCP configuration";
        let settings = serde_json::from_value(json(WHAT, &row.settings)?);
        Ok(Self {
            credentials: row.credentials.map(sealed::read).transpose()?,
            config: McpConfig {
                id: row.id,
                user: row.user_id,
                name: row.name,
                settings: settings.map_err(|error| StoreError::corrupt(WHAT, error))?,
                version: row.version.unsigned_abs(),
                created_at: timestamp(WHAT, row.created_at)?,
                updated_at: timestamp(WHAT, row.updated_at)?,
            },
        })
    }
}

#[async_trait]
impl<E: Engine> McpConfigStore for SqlStore<E> {
    async fn create_mcp_config(
        &self,
        tenant: TenantId,
        new: SealedMcpConfig,
        most: u32,
        once: Option<&IdempotencyKey>,
    ) -> Result<Created<McpConfig>, StoreError> {
        let SealedMcpConfig {
            config: new,
            credentials,
        } = new;
        let now = now();
        let once = once.map(|key| Once {
            tenant,
            user: &new.user,
            operation: OPERATION,
            key,
            now,
        });

        let mut transaction = self.engine.write(tenant).await?;
        add_organization(&mut transaction, tenant, now).await?;
        self.engine
            .lock_user(&mut transaction, tenant, &new.user)
            .await?;
        if let Some(once) = &once
            && let Some(earlier) = once.earlier(&mut transaction).await?
        {
            return Ok(Created::Before(earlier));
        }
        refuse_name_and_number(&mut transaction, tenant, &new, most).await?;
        insert(&mut transaction, tenant, &new, credentials.as_ref()).await?;
        if let Some(once) = &once {
            once.remember(&mut transaction, &new).await?;
        }
        transaction.commit().await?;
        Ok(Created::Now(new))
    }

    async fn mcp_config(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<SealedMcpConfig>, StoreError> {
        let values = [tenant.into(), user.into(), id.into()];
        let mut transaction = self.engine.read(tenant).await?;
        let found: Option<McpConfigRow> = transaction.rows(GET, &values).await?.pop();
        transaction.commit().await?;
        found.map(SealedMcpConfig::try_from).transpose()
    }

    async fn mcp_configs(
        &self,
        tenant: TenantId,
        user: &str,
    ) -> Result<Vec<SealedMcpConfig>, StoreError> {
        let values = [tenant.into(), user.into()];
        let mut transaction = self.engine.read(tenant).await?;
        let rows: Vec<McpConfigRow> = transaction.rows(LIST, &values).await?;
        transaction.commit().await?;
        rows.into_iter().map(SealedMcpConfig::try_from).collect()
    }

    async fn change_mcp_config(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
        version: u64,
        settings: &Settings,
        credentials: &CredentialsChange,
    ) -> Result<Option<McpConfig>, StoreError> {
        let settings = document(settings)?;
        let mut values = vec![
            tenant.into(),
            user.into(),
            id.into(),
            version.cast_signed().into(),
            (&settings).into(),
            now().into(),
        ];
        let statement = match credentials {
            CredentialsChange::Keep => CHANGE,
            CredentialsChange::Replace(new) => {
                values.push(Value::Bytes(new.as_ref().map(Sealed::as_bytes)));
                CHANGE_WITH_CREDENTIALS
            }
        };
        let mut transaction = self.engine.write(tenant).await?;
        let changed: Option<McpConfigRow> = transaction.rows(statement, &values).await?.pop();
        transaction.commit().await?;
        let changed = changed.map(SealedMcpConfig::try_from).transpose()?;
        Ok(changed.map(|changed| changed.config))
    }

    async fn remove_mcp_config(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        let values = [tenant.into(), user.into(), id.into()];
        let mut transaction = self.engine.write(tenant).await?;
        let removed = transaction.execute(REMOVE, &values).await?;
        transaction.commit().await?;
        Ok(removed > 0)
    }
}

/// Under the lock of the user: of two creates at once one sees the other.
async fn refuse_name_and_number(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    new: &McpConfig,
    most: u32,
) -> Result<(), StoreError> {
    let of_user = [tenant.into(), (&new.user).into()];
    let names: Vec<(String,)> = transaction.rows(NAMES, &of_user).await?;
    if names.iter().any(|(name,)| *name == new.name) {
        return Err(StoreError::McpServerNameTaken);
    }
    if names.len() >= most as usize {
        return Err(StoreError::McpServerLimit { limit: most });
    }
    Ok(())
}

async fn insert(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    config: &McpConfig,
    credentials: Option<&Sealed>,
) -> Result<(), StoreError> {
    let settings = document(&config.settings)?;
    let values = [
        tenant.into(),
        config.id.into(),
        (&config.user).into(),
        (&config.name).into(),
        (&settings).into(),
        Value::Bytes(credentials.map(Sealed::as_bytes)),
        config.created_at.as_microsecond().into(),
    ];
    transaction.execute(INSERT, &values).await?;
    Ok(())
}

fn document(settings: &Settings) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(settings).map_err(|error| StoreError::corrupt("MCP configuration", error))
}
