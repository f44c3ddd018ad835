//! Agent sessions.

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use super::idempotency::Once;
use super::session_events::{self, append};
use super::{
    Engine, SqlStore, Transaction, json, now, paged, session_members, start_of_list, timestamp,
};
use crate::store::{
    Created, IdempotencyKey, NewSession, Page, Paged, Session, SessionEvent, SessionMember,
    SessionRole, SessionStore, StoreError, TenantId,
};

const OPERATION: &str = "session.create";

const ADD_ORGANIZATION: &str = "INSERT INTO organizations (tenant_id, created_at) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING";

/// A user's dead sessions go when the user opens a new one, before the sweeper comes by.
const REMOVE_ENDED: &str = "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 \
     AND (expires_at <= $3 OR last_used_at + idle_timeout <= $3)";

const COUNT: &str = "SELECT count(*) FROM sessions WHERE tenant_id = $1 AND user_id = $2";

const INSERT: &str = "INSERT INTO sessions \
     (tenant_id, id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at, last_event) \
     VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9)";

const GET: &str = "SELECT s.id, s.user_id, s.workspace, s.metadata, s.created_at, s.last_used_at, s.idle_timeout, \
     s.expires_at, CASE WHEN s.user_id = $2 THEN 'owner' ELSE m.role END AS role \
     FROM sessions s LEFT JOIN session_members m \
     ON m.tenant_id = s.tenant_id AND m.session_id = s.id AND m.user_id = $2 \
     WHERE s.tenant_id = $1 AND s.id = $3 AND (s.user_id = $2 OR m.user_id IS NOT NULL) \
     AND s.expires_at > $4 AND s.last_used_at + s.idle_timeout > $4";

const INSPECT: &str = "SELECT id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at, \
     NULL AS role FROM sessions WHERE tenant_id = $1 AND id = $2 \
     AND expires_at > $3 AND last_used_at + idle_timeout > $3";

const TOUCH: &str = "UPDATE sessions SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2 \
     AND expires_at > $3 AND last_used_at + idle_timeout > $3";

const LIST: &str = "SELECT id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at, \
     'owner' AS role FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND id < $3 \
     AND expires_at > $4 AND last_used_at + idle_timeout > $4 \
     UNION ALL \
     SELECT s.id, s.user_id, s.workspace, s.metadata, s.created_at, s.last_used_at, s.idle_timeout, s.expires_at, \
     m.role FROM session_members m JOIN sessions s ON s.tenant_id = m.tenant_id AND s.id = m.session_id \
     WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.session_id < $3 \
     AND s.expires_at > $4 AND s.last_used_at + s.idle_timeout > $4 \
     ORDER BY id DESC LIMIT $5";

const LIST_OF_ALL: &str = "SELECT id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at, \
     NULL AS role FROM sessions WHERE tenant_id = $1 AND id < $2 \
     AND expires_at > $3 AND last_used_at + idle_timeout > $3 \
     ORDER BY id DESC LIMIT $4";

const SET_METADATA: &str = "UPDATE sessions SET metadata = $5, last_used_at = $4 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND expires_at > $4 AND last_used_at + idle_timeout > $4 \
     RETURNING id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at, 'owner' AS role";

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
    role: Option<String>,
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
            role: row.role.as_deref().map(role).transpose()?,
        })
    }
}

/// A role by its name.
pub(super) fn role(name: &str) -> Result<SessionRole, StoreError> {
    let known = SessionRole::ALL
        .into_iter()
        .find(|role| role.name() == name);
    known.ok_or_else(|| StoreError::corrupt("session role", name))
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
        let mut transaction = self.engine.read(tenant).await?;
        let found = get(&mut transaction, tenant, user, id, now).await?;
        transaction.commit().await?;
        let Some(mut row) = found else {
            return Ok(None);
        };
        if now - row.last_used_at >= row.idle_timeout / TOUCH_RESOLUTION {
            let values = [tenant.into(), id.into(), now.into()];
            let mut transaction = self.engine.write(tenant).await?;
            let touched = transaction.execute(TOUCH, &values).await?;
            transaction.commit().await?;
            if touched == 0 {
                return Ok(None);
            }
            row.last_used_at = now;
        }
        Session::try_from(row).map(Some)
    }

    async fn inspect_session(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<Session>, StoreError> {
        let values = [tenant.into(), id.into(), now().into()];
        let mut transaction = self.engine.read(tenant).await?;
        let found: Option<SessionRow> = transaction.rows(INSPECT, &values).await?.pop();
        transaction.commit().await?;
        found.map(Session::try_from).transpose()
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
        self.list(tenant, LIST, &values, page.limit).await
    }

    async fn list_all_sessions(
        &self,
        tenant: TenantId,
        page: Page,
    ) -> Result<Paged<Session>, StoreError> {
        let values = [
            tenant.into(),
            start_of_list(page.after).into(),
            now().into(),
            (i64::from(page.limit) + 1).into(),
        ];
        self.list(tenant, LIST_OF_ALL, &values, page.limit).await
    }

    async fn set_session_metadata(
        &self,
        tenant: TenantId,
        owner: &str,
        id: Uuid,
        metadata: &serde_json::Value,
    ) -> Result<Option<Session>, StoreError> {
        let now = now();
        let values = [
            tenant.into(),
            owner.into(),
            id.into(),
            now.into(),
            metadata.into(),
        ];
        let mut transaction = self.engine.write(tenant).await?;
        let changed: Option<SessionRow> = transaction.rows(SET_METADATA, &values).await?.pop();
        let Some(changed) = changed else {
            return Ok(None);
        };
        let data = json!({ "by": owner });
        append(&mut transaction, tenant, id, "session.updated", &data, now).await?;
        transaction.commit().await?;
        Session::try_from(changed).map(Some)
    }

    async fn end_session(
        &self,
        tenant: TenantId,
        owner: &str,
        id: Uuid,
    ) -> Result<bool, StoreError> {
        let values = [tenant.into(), owner.into(), id.into(), now().into()];
        let mut transaction = self.engine.write(tenant).await?;
        let ended = transaction.execute(END, &values).await?;
        transaction.commit().await?;
        Ok(ended > 0)
    }

    async fn session_members(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<Vec<SessionMember>>, StoreError> {
        let mut transaction = self.engine.read(tenant).await?;
        if get(&mut transaction, tenant, user, id, now())
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let members = session_members::list(&mut transaction, tenant, id).await?;
        transaction.commit().await?;
        Ok(Some(members))
    }

    async fn put_session_member(
        &self,
        tenant: TenantId,
        owner: &str,
        id: Uuid,
        member: &SessionMember,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let put = session_members::put(&mut transaction, tenant, owner, id, member, now()).await?;
        if put {
            transaction.commit().await?;
        }
        Ok(put)
    }

    async fn remove_session_member(
        &self,
        tenant: TenantId,
        id: Uuid,
        user: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let removed = session_members::remove(&mut transaction, tenant, id, user, now()).await?;
        if removed {
            transaction.commit().await?;
        }
        Ok(removed)
    }

    async fn session_events(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Option<Vec<SessionEvent>>, StoreError> {
        let mut transaction = self.engine.read(tenant).await?;
        if get(&mut transaction, tenant, user, id, now())
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let events = session_events::after(&mut transaction, tenant, id, after, limit).await?;
        transaction.commit().await?;
        Ok(Some(events))
    }
}

impl<E: Engine> SqlStore<E> {
    async fn list(
        &self,
        tenant: TenantId,
        statement: &'static str,
        values: &[super::Value<'_>],
        limit: u32,
    ) -> Result<Paged<Session>, StoreError> {
        let mut transaction = self.engine.read(tenant).await?;
        let rows: Vec<SessionRow> = transaction.rows(statement, values).await?;
        transaction.commit().await?;
        let sessions = rows
            .into_iter()
            .map(Session::try_from)
            .collect::<Result<_, _>>()?;
        Ok(paged(sessions, limit, |session: &Session| session.id))
    }

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
            role: Some(SessionRole::Owner),
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
            session_events::FIRST.into(),
        ];
        transaction.execute(INSERT, &values).await?;
        let data = json!({ "by": session.user });
        session_events::begin(
            &mut transaction,
            tenant,
            session.id,
            "session.created",
            &data,
            now,
        )
        .await?;
        if let Some(once) = &once {
            once.remember(&mut transaction, &session).await?;
        }
        transaction.commit().await?;
        Ok(Created::Now(session))
    }
}

async fn get(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    user: &str,
    id: Uuid,
    now: i64,
) -> Result<Option<SessionRow>, StoreError> {
    let values = [tenant.into(), user.into(), id.into(), now.into()];
    Ok(transaction.rows(GET, &values).await?.pop())
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
