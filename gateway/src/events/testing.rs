//! Records and events for tests.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::audit::{
    Action, Context, Entry, Head, Month, Outcome, Partition, Record, Stamp,
};
use crate::store::{AuditBatch, AuditRow, NewDelivery, Settlement, Store, TenantId, WriterId};

/// Who acts in tests.
pub(crate) fn context() -> Arc<Context> {
    Arc::new(Context {
        organization: "acme".to_owned(),
        actor: "alice".to_owned(),
        api_key: None,
        request_id: "request".to_owned(),
        address: "192.0.2.7".to_owned(),
        user_agent: "test".to_owned(),
    })
}

/// The first record of a writer.
pub(crate) fn record(writer: WriterId) -> Record {
    let entry = Entry {
        context: context(),
        action: Action::ToolCall,
        resource: "thing".to_owned(),
        outcome: Outcome::Success,
        reason: None,
    };
    let stamp = Stamp {
        id: Uuid::now_v7(),
        time: Timestamp::now(),
        key: [7; 16],
    };
    Head::default().seal(writer.0, stamp, &entry)
}

/// An event of the tenant that could not be delivered.
pub(crate) async fn dead_letter(store: &dyn Store, tenant: TenantId) -> Uuid {
    let writer = WriterId(Uuid::now_v7());
    let partition = Partition {
        month: Month::of(Timestamp::now()),
        retention_days: 365,
    };
    store.open_writer(writer, partition).await.unwrap();
    let record = record(writer);
    let delivery = NewDelivery {
        tenant,
        id: Uuid::now_v7(),
        sink: "hook".into(),
        record: record.id,
    };
    let batch = AuditBatch {
        deliveries: vec![delivery],
        ..vec![AuditRow { tenant, record }].into()
    };
    store.append_audit(&batch).await.unwrap();
    let minute = Duration::from_secs(60);
    let taken = store.take_deliveries(tenant, "hook", minute, 1).await;
    let event = taken.unwrap().pop().expect("the event is due");
    let settlement = Settlement::Dead {
        error: "the receiver answered 410 Gone".to_owned(),
    };
    let settled = store.settle_delivery(tenant, event.id, event.attempts, &settlement);
    assert!(settled.await.unwrap(), "nobody else has taken the event");
    event.id
}
