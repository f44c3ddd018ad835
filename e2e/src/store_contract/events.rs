//! The outbox of events.

use std::time::Duration;

use agentapi_gateway::store::{
    AuditBatch, DeadLetter, Delivery, NewDelivery, Settlement, TenantId,
};
use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use super::audit::Chain;
use super::{ACME, AnyStore, FIRST_PAGE, GLOBEX};

const SINK: &str = "hook";
/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

/// A record of the tenant with an event about it, not written yet.
async fn batch(store: &AnyStore, tenant: TenantId) -> Result<AuditBatch> {
    let rows = Chain::open(store, tenant).await?.take(1)?;
    let delivery = NewDelivery {
        tenant,
        id: Uuid::now_v7(),
        sink: SINK.into(),
        record: rows[0].record.id,
    };
    Ok(AuditBatch {
        deliveries: vec![delivery],
        ..rows.into()
    })
}

/// Writes a record of the tenant with an event about it.
pub async fn write_a_new_event(store: AnyStore) -> Result<()> {
    store.append_audit(&batch(&store, ACME).await?).await?;
    Ok(())
}

/// The next event of the tenant, taken by the caller until it is settled.
async fn taken(store: &AnyStore) -> Result<Option<Delivery>> {
    Ok(store.take_deliveries(ACME, SINK, LONG, 1).await?.pop())
}

/// An event that could not be delivered.
async fn dead(store: &AnyStore) -> Result<Uuid> {
    write_a_new_event(store.clone()).await?;
    let event = taken(store).await?.context("there is no event")?;
    let settlement = Settlement::Dead {
        error: "the receiver answered 410 Gone".to_owned(),
    };
    let settled = store.settle_delivery(ACME, event.id, event.attempts, &settlement);
    ensure!(settled.await?, "somebody else took the event");
    Ok(event.id)
}

async fn dead_letters(store: &AnyStore, tenant: TenantId) -> Result<Vec<DeadLetter>> {
    Ok(store.list_dead_letters(tenant, FIRST_PAGE).await?.items)
}

/// With the record that it tells of.
pub async fn an_event_is_written_with_its_record(store: AnyStore) -> Result<()> {
    let batch = batch(&store, ACME).await?;
    store.append_audit(&batch).await?;
    let event = taken(&store).await?.context("there is no event")?;
    assert_eq!(event.record.as_ref(), Some(&batch.rows[0].record));
    Ok(())
}

/// A record that is not written is told to nobody.
pub async fn a_batch_that_is_refused_leaves_no_event(store: AnyStore) -> Result<()> {
    let mut refused = batch(&store, ACME).await?;
    refused.rows.push(refused.rows[0].clone());
    let written = store.append_audit(&refused).await;
    ensure!(written.is_err(), "a position in a chain was taken twice");
    assert_eq!(taken(&store).await?, None);
    Ok(())
}

/// Whoever looks for work finds the sink, and does not find it when all is taken.
pub async fn a_sink_is_due_while_an_event_waits_for_it(store: AnyStore) -> Result<()> {
    write_a_new_event(store.clone()).await?;
    assert_eq!(store.due_sinks().await?, [(ACME, SINK.to_owned())]);
    taken(&store).await?;
    assert_eq!(store.due_sinks().await?, []);
    Ok(())
}

/// Any number of replicas look at the same time.
pub async fn an_event_is_taken_by_one(store: AnyStore) -> Result<()> {
    for _ in 0..5 {
        write_a_new_event(store.clone()).await?;
    }
    let mut ids: Vec<Uuid> = Vec::new();
    // Whoever comes second for the same events gets fewer, and looks again.
    while !store.due_sinks().await?.is_empty() {
        let takers = (0..8).map(|_| store.take_deliveries(ACME, SINK, LONG, 3));
        let taken = futures::future::try_join_all(takers).await?;
        ids.extend(taken.into_iter().flatten().map(|event| event.id));
    }
    let taken = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((taken, ids.len()), (5, 5), "an event was taken twice");
    Ok(())
}

/// Its taker may have died.
pub async fn an_event_that_is_not_settled_is_taken_again(store: AnyStore) -> Result<()> {
    write_a_new_event(store.clone()).await?;
    let first = store.take_deliveries(ACME, SINK, Duration::ZERO, 1).await?;
    let second = taken(&store).await?.context("it was not taken again")?;
    assert_eq!((first[0].id, second.attempts), (second.id, 2));
    Ok(())
}

/// Whoever comes too late changes nothing.
pub async fn an_event_is_settled_by_whoever_took_it_last(store: AnyStore) -> Result<()> {
    write_a_new_event(store.clone()).await?;
    let first = store.take_deliveries(ACME, SINK, Duration::ZERO, 1).await?;
    taken(&store).await?;
    let delivered = &Settlement::Delivered;
    let late = store.settle_delivery(ACME, first[0].id, first[0].attempts, delivered);
    ensure!(!late.await?, "the first taker settled what another has");
    Ok(())
}

/// After its pause.
pub async fn an_event_that_failed_comes_again(store: AnyStore) -> Result<()> {
    write_a_new_event(store.clone()).await?;
    let event = taken(&store).await?.context("there is no event")?;
    let settlement = Settlement::Again {
        pause: Duration::ZERO,
        error: "no connection".to_owned(),
    };
    store
        .settle_delivery(ACME, event.id, event.attempts, &settlement)
        .await?;
    let again = taken(&store).await?.context("it did not come again")?;
    assert_eq!((again.id, again.attempts), (event.id, 2));
    Ok(())
}

/// Nobody is told twice.
pub async fn a_delivered_event_is_gone(store: AnyStore) -> Result<()> {
    write_a_new_event(store.clone()).await?;
    let event = store.take_deliveries(ACME, SINK, Duration::ZERO, 1).await?;
    let delivered = &Settlement::Delivered;
    store
        .settle_delivery(ACME, event[0].id, event[0].attempts, delivered)
        .await?;
    assert_eq!(taken(&store).await?, None);
    assert_eq!(dead_letters(&store, ACME).await?, []);
    Ok(())
}

/// With what it tells of and why it failed.
pub async fn a_dead_letter_is_kept(store: AnyStore) -> Result<()> {
    let id = dead(&store).await?;
    assert_eq!(dead_letters(&store, ACME).await?[0].id, id);
    let letter = store.dead_letter(ACME, id).await?.context("it is gone")?;
    assert!(letter.record.is_some(), "{letter:?}");
    assert_eq!(
        (letter.attempts, letter.last_error.as_str()),
        (1, "the receiver answered 410 Gone")
    );
    Ok(())
}

/// With as many attempts as a new one.
pub async fn a_replayed_dead_letter_is_due_again(store: AnyStore) -> Result<()> {
    let id = dead(&store).await?;
    ensure!(store.replay_dead_letter(ACME, id).await?, "it is gone");
    assert_eq!(dead_letters(&store, ACME).await?, []);
    let again = taken(&store).await?.context("it is not due")?;
    assert_eq!((again.id, again.attempts), (id, 1));
    Ok(())
}

/// For good.
pub async fn a_discarded_dead_letter_is_gone(store: AnyStore) -> Result<()> {
    let id = dead(&store).await?;
    ensure!(store.discard_dead_letter(ACME, id).await?, "it is gone");
    ensure!(
        !store.replay_dead_letter(ACME, id).await?,
        "it is still there"
    );
    Ok(())
}

/// Not seen, not sent, not discarded.
pub async fn a_dead_letter_is_another_tenants_no_business(store: AnyStore) -> Result<()> {
    let id = dead(&store).await?;
    assert_eq!(dead_letters(&store, GLOBEX).await?, []);
    assert_eq!(store.dead_letter(GLOBEX, id).await?, None);
    ensure!(!store.replay_dead_letter(GLOBEX, id).await?, "replayed");
    ensure!(!store.discard_dead_letter(GLOBEX, id).await?, "discarded");
    assert_eq!(dead_letters(&store, ACME).await?.len(), 1);
    Ok(())
}

/// With the organization.
pub async fn a_retired_tenant_leaves_no_event_behind(store: AnyStore) -> Result<()> {
    dead(&store).await?;
    write_a_new_event(store.clone()).await?;
    store.retire(ACME).await?;
    assert_eq!(taken(&store).await?, None);
    assert_eq!(dead_letters(&store, ACME).await?, []);
    Ok(())
}
