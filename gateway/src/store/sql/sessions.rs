//! Agent sessions.

use async_trait::async_trait;
use uuid::Uuid;

use super::idempotency::Once;
use super::{Engine, SqlStore, Transaction, json, now, paged, start_of_list, timestamp};
use crate::store::{
    Created, IdempotencyKey, NewSession, Page, Paged, Session, SessionStore, StoreError, TenantId,
};

const OPERATION: &str = "session.create";

const ADD_ORGANIZATION: &str = "INSERT INTO organizations (tenant_id, created_at) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING";

/// A user's dead sessions go when the user opens a new one: nothing grows without bound.
const REMOVE_ENDED: &str = "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 \
     AND (expires_at <= $3 OR last_used_at + idle_timeout <= $3)";

const COUNT: &str = "SELECT count(*) FROM sessions WHERE tenant_id = $1 AND user_id = $2";

const INSERT: &str = "INSERT INTO sessions \
     (tenant_id, id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)";

const GET: &str = "SELECT id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at \
     FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND expires_at > $4 AND last_used_at + idle_timeout > $4";

const TOUCH: &str = "UPDATE sessions SET last_used_at = $4 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND expires_at > $4 AND last_used_at + idle_timeout > $4 \
     RETURNING id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at";

const LIST: &str = "SELECT id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at \
     FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id < $3 \
     AND expires_at > $4 AND last_used_at + idle_timeout > $4 \
     ORDER BY id DESC LIMIT $5";

const SET_METADATA: &str = "UPDATE sessions SET metadata = $5, last_used_at = $4 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND expires_at > $4 AND last_used_at + idle_timeout > $4 \
     RETURNING id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at";

const END: &str = "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND expires_at > $4 AND last_used_at + idle_timeout > $4";

/// A use is written down once this part of the idle timeout has passed since the
/// last one: a busy session costs no write a request, and ends at most this much early.
const TOUCH_RESOLUTION: i64 = 16;

/// Longest idle timeout kept, a hundred years in microseconds: sums of times stay in range.
const LONGEST_IDLE_TIMEOUT: i64 = 100 * 366 * 86_400 * 1_000_000;

#[derive(sqlx::FromRow)]
struct SessionRow {
    id: Uuid,
    user_id: String,
    workspace: String,
    metadata: String,
    created_at: i64,
    last_used_at: i64,
    idle_timeout: i64,
    expires_at: i64,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            user: row.user_id,
            workspace: row.workspace,
            created_at: timestamp("session", row.created_at)?,
            expires_at: timestamp("session", row.expires_at)?,
            last_used_at: timestamp("session", row.last_used_at)?,
            metadata: json("session", &row.metadata)?,
        })
    }
}

#[async_trait]
impl<E: Engine> SessionStore for SqlStore<E> {
    async fn create_session(
        &self,
        tenant: TenantId,
        new: NewSession,
    ) -> Result<Session, StoreError> {
        let created = self.create_session_with(tenant, new, None).await?;
        Ok(created.into_inner())
    }

    async fn create_session_once(
        &self,
        tenant: TenantId,
        new: NewSession,
        once: &IdempotencyKey,
    ) -> Result<Created<Session>, StoreError> {
        self.create_session_with(tenant, new, Some(once)).await
    }

    async fn touch_session(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<Session>, StoreError> {
        let now = now();
        let values = [tenant.into(), user.into(), id.into(), now.into()];
        let mut transaction = self.engine.read(tenant).await?;
        let found: Option<SessionRow> = transaction.rows(GET, &values).await?.pop();
        transaction.commit().await?;
        match found {
            Some(row) if now - row.last_used_at >= row.idle_timeout / TOUCH_RESOLUTION => {
                self.change_session(tenant, TOUCH, &values).await
            }
            found => found.map(Session::try_from).transpose(),
        }
    }

    async fn list_sessions(
        &self,
        tenant: TenantId,
        user: &str,
        page: Page,
    ) -> Result<Paged<Session>, StoreError> {
        let values = [
            tenant.into(),
            user.into(),
            start_of_list(page.after).into(),
            now().into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let mut transaction = self.engine.read(tenant).await?;
        let rows: Vec<SessionRow> = transaction.rows(LIST, &values).await?;
        transaction.commit().await?;
        let sessions = rows
            .into_iter()
            .map(Session::try_from)
            .collect::<Result<_, _>>()?;
        Ok(paged(sessions, page.limit, |session: &Session| session.id))
    }

    async fn set_session_metadata(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
        metadata: &serde_json::Value,
    ) -> Result<Option<Session>, StoreError> {
        let values = [
            tenant.into(),
            user.into(),
            id.into(),
            now().into(),
            metadata.into(),
        ];
        self.change_session(tenant, SET_METADATA, &values).await
    }

    async fn end_session(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        let values = [tenant.into(), user.into(), id.into(), now().into()];
        let mut transaction = self.engine.write(tenant).await?;
        let ended = transaction.execute(END, &values).await?;
        transaction.commit().await?;
        Ok(ended > 0)
    }
}

impl<E: Engine> SqlStore<E> {
    async fn create_session_with(
        &self,
        tenant: TenantId,
        new: NewSession,
        once: Option<&IdempotencyKey>,
    ) -> Result<Created<Session>, StoreError> {
        let now = now();
        let session = Session {
            id: Uuid::now_v7(),
            user: new.user,
            workspace: new.workspace,
            created_at: timestamp("session", now)?,
            expires_at: timestamp("session", new.expires_at.as_microsecond())?,
            last_used_at: timestamp("session", now)?,
            metadata: new.metadata,
        };
        let once = once.map(|key| Once {
            tenant,
            user: &session.user,
            operation: OPERATION,
            key,
            now,
        });

        let mut transaction = self.engine.write(tenant).await?;
        add_organization(&mut transaction, tenant, now).await?;
        self.engine
            .lock_user(&mut transaction, tenant, &session.user)
            .await?;
        if let Some(once) = &once
            && let Some(earlier) = once.earlier(&mut transaction).await?
        {
            return Ok(Created::Before(earlier));
        }
        refuse_beyond(
            &mut transaction,
            tenant,
            &session.user,
            new.max_per_user,
            now,
        )
        .await?;
        let values = [
            tenant.into(),
            session.id.into(),
            (&session.user).into(),
            (&session.workspace).into(),
            (&session.metadata).into(),
            now.into(),
            microseconds(new.idle_timeout_seconds).into(),
            session.expires_at.as_microsecond().into(),
        ];
        transaction.execute(INSERT, &values).await?;
        if let Some(once) = &once {
            once.remember(&mut transaction, &session).await?;
        }
        transaction.commit().await?;
        Ok(Created::Now(session))
    }

    /// Runs a statement that changes one session and returns it as it is then.
    async fn change_session(
        &self,
        tenant: TenantId,
        statement: &'static str,
        values: &[super::Value<'_>],
    ) -> Result<Option<Session>, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let changed: Option<SessionRow> = transaction.rows(statement, values).await?.pop();
        transaction.commit().await?;
        changed.map(Session::try_from).transpose()
    }
}

/// Makes room by removing what has ended, and refuses one more than `most`.
async fn refuse_beyond(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    user: &str,
    most: u32,
    now: i64,
) -> Result<(), StoreError> {
    let of_user = [tenant.into(), user.into(), now.into()];
    transaction.execute(REMOVE_ENDED, &of_user).await?;
    let open: Vec<(i64,)> = transaction.rows(COUNT, &of_user[..2]).await?;
    if open.first().is_some_and(|(open,)| *open >= most.into()) {
        return Err(StoreError::SessionLimit { limit: most });
    }
    Ok(())
}

/// Makes sure that the row exists which all of an organization's rows refer to.
pub(super) async fn add_organization(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    now: i64,
) -> Result<(), StoreError> {
    transaction
        .execute(ADD_ORGANIZATION, &[tenant.into(), now.into()])
        .await?;
    Ok(())
}

fn microseconds(seconds: u64) -> i64 {
    i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000)
        .min(LONGEST_IDLE_TIMEOUT)
}
