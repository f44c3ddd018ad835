//! Browsers that are logged in, and their users' ways to authorization servers.

use async_trait::async_trait;
use uuid::Uuid;

use super::sessions::add_organization;
use super::{Engine, SqlStore, Transaction, Value, now};
use crate::store::{BrowserSession, BrowserStore, PendingAuthorization, StoreError, TenantId};

const INSERT_SESSION: &str = "INSERT INTO browser_sessions \
     (tenant_id, id, user_id, secret_hash, administers, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";

const GET_SESSION: &str = "SELECT id, user_id, secret_hash, administers FROM browser_sessions \
     WHERE tenant_id = $1 AND id = $2 AND expires_at > $3";

const INSERT_PENDING: &str = "INSERT INTO oauth_authorizations \
     (tenant_id, id, browser_session, server, holder, secret_hash, issuer, binding, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// One way at a time for a browser and a server: whoever starts again has given up the one before.
const REMOVE_EARLIER: &str = "DELETE FROM oauth_authorizations WHERE tenant_id = $1 AND browser_session = $2 AND server = $3";

const TAKE_PENDING: &str = "DELETE FROM oauth_authorizations \
     WHERE tenant_id = $1 AND id = $2 AND expires_at > $3 \
     RETURNING id, browser_session, server, holder, secret_hash, issuer, binding";

#[derive(sqlx::FromRow)]
struct SessionRow {
    id: Uuid,
    user_id: String,
    secret_hash: Vec<u8>,
    administers: i64,
}

#[derive(sqlx::FromRow)]
struct PendingRow {
    id: Uuid,
    browser_session: Uuid,
    server: String,
    holder: String,
    secret_hash: Vec<u8>,
    issuer: String,
    binding: Vec<u8>,
}

#[async_trait]
impl<E: Engine> BrowserStore for SqlStore<E> {
    async fn create_browser_session(
        &self,
        tenant: TenantId,
        session: &BrowserSession,
    ) -> Result<(), StoreError> {
        let now = now();
        let values = [
            tenant.into(),
            session.id.into(),
            (&session.user).into(),
            Value::Bytes(Some(&session.secret_hash)),
            i64::from(session.administers).into(),
            after(now, session.lifetime_seconds).into(),
        ];
        let mut transaction = self.engine.write(tenant).await?;
        add_organization(&mut transaction, tenant, now).await?;
        transaction.execute(INSERT_SESSION, &values).await?;
        transaction.commit().await
    }

    async fn browser_session(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<BrowserSession>, StoreError> {
        let values = [tenant.into(), id.into(), now().into()];
        let mut transaction = self.engine.read(tenant).await?;
        let found: Option<SessionRow> = transaction.rows(GET_SESSION, &values).await?.pop();
        transaction.commit().await?;
        let session = found.map(|row| {
            Ok(BrowserSession {
                id: row.id,
                user: row.user_id,
                secret_hash: hash("browser session", &row.secret_hash)?,
                administers: row.administers != 0,
                lifetime_seconds: 0,
            })
        });
        session.transpose()
    }

    async fn begin_authorization(
        &self,
        tenant: TenantId,
        pending: &PendingAuthorization,
    ) -> Result<(), StoreError> {
        let of_server = [
            tenant.into(),
            pending.browser_session.into(),
            (&pending.server).into(),
        ];
        let values = [
            tenant.into(),
            pending.id.into(),
            pending.browser_session.into(),
            (&pending.server).into(),
            holder(pending.holder.as_deref()),
            Value::Bytes(Some(&pending.secret_hash)),
            (&pending.issuer).into(),
            Value::Bytes(Some(&pending.binding)),
            after(now(), pending.lifetime_seconds).into(),
        ];
        let mut transaction = self.engine.write(tenant).await?;
        transaction.execute(REMOVE_EARLIER, &of_server).await?;
        transaction.execute(INSERT_PENDING, &values).await?;
        transaction.commit().await
    }

    async fn take_authorization(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<PendingAuthorization>, StoreError> {
        let values = [tenant.into(), id.into(), now().into()];
        let mut transaction = self.engine.write(tenant).await?;
        let taken: Option<PendingRow> = transaction.rows(TAKE_PENDING, &values).await?.pop();
        transaction.commit().await?;
        let pending = taken.map(|row| {
            Ok(PendingAuthorization {
                id: row.id,
                browser_session: row.browser_session,
                server: row.server,
                holder: holder_of(row.holder),
                secret_hash: hash("authorization", &row.secret_hash)?,
                issuer: row.issuer,
                binding: hash("authorization", &row.binding)?,
                lifetime_seconds: 0,
            })
        });
        pending.transpose()
    }
}

/// The organization is the holder without a name.
pub(super) fn holder(user: Option<&str>) -> Value<'_> {
    user.unwrap_or_default().into()
}

pub(super) fn holder_of(column: String) -> Option<String> {
    (!column.is_empty()).then_some(column)
}

pub(super) fn hash(what: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    let read = bytes.try_into();
    read.map_err(|error: std::array::TryFromSliceError| StoreError::corrupt(what, error))
}

/// A moment so many seconds later, in microseconds.
pub(super) fn after(now: i64, seconds: u32) -> i64 {
    now.saturating_add(i64::from(seconds) * 1_000_000)
}
