//! Which records of a batch become events, and for which sinks.

use uuid::Uuid;

use super::policy::Policies;
use crate::store::{AuditRow, NewDelivery};

/// The events that are written with these records.
pub(super) fn deliveries(policies: &dyn Policies, rows: &[AuditRow]) -> Vec<NewDelivery> {
    let of_row = |row: &AuditRow| {
        let (tenant, record) = (row.tenant, row.record.id);
        let sinks = policies.sinks(tenant, row.record.action, row.record.outcome);
        sinks.into_iter().map(move |sink| NewDelivery {
            tenant,
            id: Uuid::now_v7(),
            sink,
            record,
        })
    };
    rows.iter().flat_map(of_row).collect()
}
