//! What happened in a session, written in the transaction of what happened.

use uuid::Uuid;

use super::{Transaction, json, timestamp};
use crate::store::{SessionEvent, StoreError, TenantId};

/// Number of the event that a new session begins with.
pub(super) const FIRST: i64 = 1;

/// Most events kept of one session; older ones go.
const KEPT: i64 = 1000;

/// Locks the session until the end of the transaction: events have one order.
const NEXT: &str = "UPDATE sessions SET last_event = last_event + 1 \
     WHERE tenant_id = $1 AND id = $2 RETURNING last_event";

const INSERT: &str = "INSERT INTO session_events (tenant_id, session_id, sequence, time, kind, data) \
     VALUES ($1, $2, $3, $4, $5, $6)";

const FORGET: &str =
    "DELETE FROM session_events WHERE tenant_id = $1 AND session_id = $2 AND sequence <= $3";

const AFTER: &str = "SELECT sequence, time, kind, data FROM session_events \
     WHERE tenant_id = $1 AND session_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4";

/// Adds the [`FIRST`] event to a session that was made in the same transaction, with
/// that number as its last one.
pub(super) async fn begin(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    session: Uuid,
    kind: &'static str,
    data: &serde_json::Value,
    now: i64,
) -> Result<(), StoreError> {
    let values = [
        tenant.into(),
        session.into(),
        FIRST.into(),
        now.into(),
        kind.into(),
        data.into(),
    ];
    transaction.execute(INSERT, &values).await?;
    Ok(())
}

/// Adds an event to a session that exists.
pub(super) async fn append(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    session: Uuid,
    kind: &'static str,
    data: &serde_json::Value,
    now: i64,
) -> Result<(), StoreError> {
    let of_session = [tenant.into(), session.into()];
    let next: Vec<(i64,)> = transaction.rows(NEXT, &of_session).await?;
    let Some((sequence,)) = next.first().copied() else {
        return Ok(());
    };
    let values = [
        tenant.into(),
        session.into(),
        sequence.into(),
        now.into(),
        kind.into(),
        data.into(),
    ];
    transaction.execute(INSERT, &values).await?;
    if sequence > KEPT {
        let old = [tenant.into(), session.into(), (sequence - KEPT).into()];
        transaction.execute(FORGET, &old).await?;
    }
    Ok(())
}

/// Up to `limit` events after one.
pub(super) async fn after(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    session: Uuid,
    after: u64,
    limit: u32,
) -> Result<Vec<SessionEvent>, StoreError> {
    let values = [
        tenant.into(),
        session.into(),
        i64::try_from(after).unwrap_or(i64::MAX).into(),
        i64::from(limit).into(),
    ];
    let rows: Vec<(i64, i64, String, String)> = transaction.rows(AFTER, &values).await?;
    rows.into_iter()
        .map(|(sequence, time, kind, data)| {
            Ok(SessionEvent {
                sequence: sequence.unsigned_abs(),
                time: timestamp("session event", time)?,
                data: json("session event", &data)?,
                kind,
            })
        })
        .collect()
}
