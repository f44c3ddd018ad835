//! Those who share a session. Every change is an event of it.

use serde_json::json;
use uuid::Uuid;

use super::Transaction;
use super::session_events::append;
use super::sessions::role;
use crate::store::{SessionMember, StoreError, TenantId};

/// Most members of one session.
const MOST: u32 = 100;

/// Locks the session, so that its members are counted by one at a time.
const LOCK_OF_OWNER: &str = "UPDATE sessions SET last_used_at = $4 \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND expires_at > $4 AND last_used_at + idle_timeout > $4";

const LIST: &str = "SELECT user_id, role FROM session_members \
     WHERE tenant_id = $1 AND session_id = $2 ORDER BY user_id";

const PUT: &str = "INSERT INTO session_members (tenant_id, session_id, user_id, role, added_at) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (tenant_id, session_id, user_id) DO UPDATE SET role = excluded.role";

const COUNT: &str = "SELECT count(*) FROM session_members WHERE tenant_id = $1 AND session_id = $2";

const REMOVE: &str =
    "DELETE FROM session_members WHERE tenant_id = $1 AND session_id = $2 AND user_id = $3";

pub(super) async fn list(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    session: Uuid,
) -> Result<Vec<SessionMember>, StoreError> {
    let rows: Vec<(String, String)> = transaction
        .rows(LIST, &[tenant.into(), session.into()])
        .await?;
    rows.into_iter()
        .map(|(user, name)| {
            Ok(SessionMember {
                user,
                role: role(&name)?,
            })
        })
        .collect()
}

/// `false` if the owner has no such live session.
pub(super) async fn put(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    owner: &str,
    session: Uuid,
    member: &SessionMember,
    now: i64,
) -> Result<bool, StoreError> {
    let owned = [tenant.into(), owner.into(), session.into(), now.into()];
    if transaction.execute(LOCK_OF_OWNER, &owned).await? == 0 {
        return Ok(false);
    }
    let values = [
        tenant.into(),
        session.into(),
        (&member.user).into(),
        member.role.name().into(),
        now.into(),
    ];
    transaction.execute(PUT, &values).await?;
    let members: Vec<(i64,)> = transaction
        .rows(COUNT, &[tenant.into(), session.into()])
        .await?;
    if members.first().is_some_and(|(count,)| *count > MOST.into()) {
        return Err(StoreError::MemberLimit { limit: MOST });
    }
    let data = json!({ "user": member.user, "role": member.role.name() });
    append(transaction, tenant, session, "member.set", &data, now).await?;
    Ok(true)
}

/// `false` if there is no such member.
pub(super) async fn remove(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    session: Uuid,
    user: &str,
    now: i64,
) -> Result<bool, StoreError> {
    let values = [tenant.into(), session.into(), user.into()];
    if transaction.execute(REMOVE, &values).await? == 0 {
        return Ok(false);
    }
    let data = json!({ "user": user });
    append(transaction, tenant, session, "member.removed", &data, now).await?;
    Ok(true)
}
