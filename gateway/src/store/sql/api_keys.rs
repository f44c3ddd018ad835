//! API keys.

use async_trait::async_trait;
use uuid::Uuid;

use super::idempotency::Once;
use super::sessions::add_organization;
use super::{Engine, SqlStore, Transaction, Value, json, now, paged, start_of_list, timestamp};
use crate::store::{
    ApiKey, ApiKeyStore, Created, HashedApiKey, IdempotencyKey, Page, Paged, StoreError, TenantId,
};

const OPERATION: &str = "api_key.create";

/// As for sessions: what a user left behind goes when the user comes back.
const REMOVE_EXPIRED: &str =
    "DELETE FROM api_keys WHERE tenant_id = $1 AND user_id = $2 AND expires_at <= $3";

const COUNT: &str = "SELECT count(*) FROM api_keys WHERE tenant_id = $1 AND user_id = $2";

const INSERT: &str = "INSERT INTO api_keys \
     (tenant_id, id, user_id, name, secret_hash, roles, scopes, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const GET: &str = "SELECT id, user_id, name, secret_hash, roles, scopes, created_at, expires_at \
     FROM api_keys WHERE tenant_id = $1 AND id = $2 AND expires_at > $3";

const LIST_OF_USER: &str = "SELECT id, user_id, name, secret_hash, roles, scopes, created_at, expires_at \
     FROM api_keys WHERE tenant_id = $1 AND id < $2 AND expires_at > $3 AND user_id = $5 \
     ORDER BY id DESC LIMIT $4";

const LIST_OF_ALL: &str = "SELECT id, user_id, name, secret_hash, roles, scopes, created_at, expires_at \
     FROM api_keys WHERE tenant_id = $1 AND id < $2 AND expires_at > $3 \
     ORDER BY id DESC LIMIT $4";

const REVOKE_OF_USER: &str =
    "DELETE FROM api_keys WHERE tenant_id = $1 AND id = $2 AND expires_at > $3 AND user_id = $4";

const REVOKE_ANY: &str =
    "DELETE FROM api_keys WHERE tenant_id = $1 AND id = $2 AND expires_at > $3";

#[derive(sqlx::FromRow)]
struct ApiKeyRow {
    id: Uuid,
    user_id: String,
    name: String,
    secret_hash: Vec<u8>,
    roles: String,
    scopes: String,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<ApiKeyRow> for HashedApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        let list = |text: &str| {
            serde_json::from_value(json("API key", text)?)
                .map_err(|error| StoreError::corrupt("API key", error))
        };
        let hash = row.secret_hash.as_slice().try_into();
        Ok(Self {
            hash: hash.map_err(|error: std::array::TryFromSliceError| {
                StoreError::corrupt("API key", error)
            })?,
            key: ApiKey {
                id: row.id,
                user: row.user_id,
                name: row.name,
                roles: list(&row.roles)?,
                scopes: list(&row.scopes)?,
                created_at: timestamp("API key", row.created_at)?,
                expires_at: timestamp("API key", row.expires_at)?,
            },
        })
    }
}

#[async_trait]
impl<E: Engine> ApiKeyStore for SqlStore<E> {
    async fn create_api_key(
        &self,
        tenant: TenantId,
        new: HashedApiKey,
        most: u32,
        once: Option<&IdempotencyKey>,
    ) -> Result<Created<ApiKey>, StoreError> {
        let HashedApiKey { key: new, hash } = new;
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
        let of_user = [tenant.into(), (&new.user).into(), now.into()];
        transaction.execute(REMOVE_EXPIRED, &of_user).await?;
        let live: Vec<(i64,)> = transaction.rows(COUNT, &of_user[..2]).await?;
        if live.first().is_some_and(|(live,)| *live >= most.into()) {
            return Err(StoreError::ApiKeyLimit { limit: most });
        }
        insert(&mut transaction, tenant, &new, &hash).await?;
        if let Some(once) = &once {
            once.remember(&mut transaction, &new).await?;
        }
        transaction.commit().await?;
        Ok(Created::Now(new))
    }

    async fn api_key(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<HashedApiKey>, StoreError> {
        let values = [tenant.into(), id.into(), now().into()];
        let mut transaction = self.engine.read(tenant).await?;
        let found: Option<ApiKeyRow> = transaction.rows(GET, &values).await?.pop();
        transaction.commit().await?;
        found.map(HashedApiKey::try_from).transpose()
    }

    async fn list_api_keys(
        &self,
        tenant: TenantId,
        user: Option<&str>,
        page: Page,
    ) -> Result<Paged<ApiKey>, StoreError> {
        let mut values = vec![
            tenant.into(),
            start_of_list(page.after).into(),
            now().into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let statement = match user {
            Some(user) => {
                values.push(user.into());
                LIST_OF_USER
            }
            None => LIST_OF_ALL,
        };
        let mut transaction = self.engine.read(tenant).await?;
        let rows: Vec<ApiKeyRow> = transaction.rows(statement, &values).await?;
        transaction.commit().await?;
        let keys = rows
            .into_iter()
            .map(|row| HashedApiKey::try_from(row).map(|hashed| hashed.key))
            .collect::<Result<_, _>>()?;
        Ok(paged(keys, page.limit, |key: &ApiKey| key.id))
    }

    async fn revoke_api_key(
        &self,
        tenant: TenantId,
        user: Option<&str>,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        let mut values = vec![tenant.into(), id.into(), now().into()];
        let statement = match user {
            Some(user) => {
                values.push(user.into());
                REVOKE_OF_USER
            }
            None => REVOKE_ANY,
        };
        let mut transaction = self.engine.write(tenant).await?;
        let revoked = transaction.execute(statement, &values).await?;
        transaction.commit().await?;
        Ok(revoked > 0)
    }
}

async fn insert(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    key: &ApiKey,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    let (roles, scopes) = (serde_json::json!(key.roles), serde_json::json!(key.scopes));
    let values = [
        tenant.into(),
        key.id.into(),
        (&key.user).into(),
        (&key.name).into(),
        Value::Bytes(Some(hash)),
        (&roles).into(),
        (&scopes).into(),
        key.created_at.as_microsecond().into(),
        key.expires_at.as_microsecond().into(),
    ];
    transaction.execute(INSERT, &values).await?;
    Ok(())
}
