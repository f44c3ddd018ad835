//! The keeping of the audit record: checkpoints, dead writers, retention, erasure, export.

use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::tenant_config::AuditDurability;
use agentapi_gateway::audit::{
    Keeper, Keeping, Ledger, MOST_BUFFERED, Policy, Recorder, Verification, checkpoint, export,
    verify,
};
use agentapi_gateway::cache;
use agentapi_gateway::domain::audit::{
    Action, ChainHead, ChainState, Checkpoint, ExportCheck, Finding, Flaw, Month, Outcome,
    Partition, Signer, Statement,
};
use agentapi_gateway::store::{AuditFilter, StoreError, TenantId};
use agentapi_gateway::telemetry::Metrics;
use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::audit::{Chain, caller};
use super::{ACME, AnyStore, FIRST_PAGE, GLOBEX};
use crate::eventually::eventually;

/// 15 January 2020: every class but the longest has removed it.
const IN_2020: i64 = 1_579_046_400;

/// A signer with a new key.
pub fn signer() -> Result<Arc<Signer>> {
    let der = Ed25519KeyPair::generate()?.to_pkcs8v1()?;
    let body = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    Ok(Arc::new(Signer::from_pem(&pem.into())?))
}

/// The next checkpoint of a tenant.
async fn stated(store: &AnyStore, signer: &Signer, tenant: TenantId) -> Result<Statement> {
    let anchors = cache::anchors(None)?;
    let made = checkpoint(&**store, signer, &*anchors, tenant, None).await?;
    let number = made.context("no checkpoint was made")?.number;
    let added = store.checkpoints(tenant, number - 1, 1).await?;
    let added = added.first().context("the checkpoint is not there")?;
    Ok(added.statement()?)
}

async fn verified(store: &AnyStore, signer: &Signer, tenant: TenantId) -> Result<Verification> {
    Ok(verify(&**store, tenant, signer.keys(), None).await?)
}

/// Everybody who writes now is taken for dead.
fn everybody() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(1)
}

fn heads(statement: &Statement) -> Vec<(u64, ChainState)> {
    let mut heads: Vec<_> = statement
        .chains
        .iter()
        .map(|chain| (chain.sequence, chain.state))
        .collect();
    heads.sort_unstable_by_key(|(sequence, _)| *sequence);
    heads
}

fn keeping(signer: &Arc<Signer>) -> Result<Keeping> {
    Ok(Keeping {
        signer: Some(signer.clone()),
        anchors: cache::anchors(None)?,
        interval: Duration::from_millis(50),
        silence: Duration::from_millis(1),
        retention_interval: Duration::from_millis(50),
        metrics: Metrics::new(),
    })
}

/// Of this process or another: no replica waits for another.
pub async fn a_checkpoint_states_the_heads_of_all_writers(store: AnyStore) -> Result<()> {
    let signer = signer()?;
    for length in [2, 3] {
        let rows = Chain::open(&store, ACME).await?.take(length)?;
        store.append_audit(&rows.into()).await?;
    }
    let first = stated(&store, &signer, ACME).await?;
    assert_eq!(
        heads(&first),
        [(2, ChainState::Open), (3, ChainState::Open)]
    );
    let second = stated(&store, &signer, ACME).await?;
    assert_eq!((first.number, second.number), (1, 2));
    let found = verified(&store, &signer, ACME).await?;
    assert!(found.is_whole() && found.checkpoints == 2, "{found:?}");
    Ok(())
}

/// A replica that was slower loses nothing: its chains are in the one that won.
pub async fn two_checkpoints_at_once_are_one(store: AnyStore) -> Result<()> {
    let signer = signer()?;
    let rows = Chain::open(&store, ACME).await?.take(1)?;
    store.append_audit(&rows.into()).await?;
    let basis = store.checkpoint_basis(ACME, false, None).await?;
    let make = |seconds| -> Result<Checkpoint> {
        let (time, chains) = (Timestamp::from_second(seconds)?, basis.chains.clone());
        Ok(Checkpoint::sign(
            &signer,
            ACME.0,
            &basis.last,
            time,
            false,
            chains,
        ))
    };
    assert!(store.add_checkpoint(ACME, &make(1)?).await?);
    assert!(!store.add_checkpoint(ACME, &make(2)?).await?);
    assert_eq!(store.checkpoints(ACME, 0, 10).await?, [make(1)?]);
    assert_eq!(store.checkpoints(GLOBEX, 0, 10).await?, []);
    Ok(())
}

/// By whoever notices first.
pub async fn a_dead_writer_is_closed_and_its_chain_stated_as_closed(store: AnyStore) -> Result<()> {
    let signer = signer()?;
    let mut chain = Chain::open(&store, ACME).await?;
    store.append_audit(&chain.take(3)?.into()).await?;
    let dead = store.close_dead_writers(everybody()).await?;
    assert_eq!(
        dead.iter().map(|dead| dead.id).collect::<Vec<_>>(),
        [chain.writer]
    );
    assert_eq!(store.tenants_to_state().await?, [ACME]);
    let statement = stated(&store, &signer, ACME).await?;
    assert_eq!(heads(&statement), [(3, ChainState::Closed)]);
    assert_eq!(store.tenants_to_state().await?, [], "it is stated once");
    Ok(())
}

/// A process that was only stopped for a while must not add to a chain that is closed.
pub async fn a_writer_taken_for_dead_cannot_write_any_more(store: AnyStore) -> Result<()> {
    let mut chain = Chain::open(&store, ACME).await?;
    store.append_audit(&chain.take(1)?.into()).await?;
    store.close_dead_writers(everybody()).await?;
    let refused = store.append_audit(&chain.take(1)?.into()).await;
    assert!(
        matches!(refused, Err(StoreError::WriterClosed)),
        "{refused:?}"
    );
    assert_eq!(store.audit_chain(ACME, chain.writer, 0, 10).await?.len(), 1);
    Ok(())
}

/// Nobody has to notice: the record is written, in another chain.
pub async fn a_recorder_taken_for_dead_goes_on_with_a_new_chain(store: AnyStore) -> Result<()> {
    let signer = signer()?;
    let recorder = Recorder::start(store.clone()).await?;
    for _ in 0..2 {
        call(&recorder).await?;
        store.close_dead_writers(everybody()).await?;
    }
    let found = verified(&store, &signer, ACME).await?;
    assert_eq!((found.writers, found.records), (2, 4));
    assert!(found.is_whole(), "{found:?}");
    recorder.close().await;
    Ok(())
}

/// What a checkpoint states, and the store has not.
pub async fn a_tail_that_is_not_there_is_named(store: AnyStore) -> Result<()> {
    let signer = signer()?;
    let mut chain = Chain::open(&store, ACME).await?;
    store.append_audit(&chain.take(3)?.into()).await?;
    let last = chain.take(2)?.pop().context("a record")?.record;
    let stated = ChainHead {
        writer: chain.writer.0,
        sequence: last.sequence,
        hash: last.hash,
        state: ChainState::Open,
        may_lack: 0,
    };
    let before = store.checkpoint_basis(ACME, false, None).await?.last;
    let now = Timestamp::now();
    let made = Checkpoint::sign(&signer, ACME.0, &before, now, false, vec![stated]);
    store.add_checkpoint(ACME, &made).await?;
    let found = verified(&store, &signer, ACME).await?;
    let problem = found.problems.first().context("nothing was found")?;
    let cut = Flaw::CutOff {
        through: 5,
        checkpoint: 1,
    };
    assert_eq!((problem.sequence, &problem.what), (4, &cut));
    Ok(())
}

/// By the keeper of any replica; what is to be kept longer stays.
pub async fn an_expired_partition_is_removed_after_a_checkpoint(store: AnyStore) -> Result<()> {
    let signer = signer()?;
    let expired = Chain::open_at(&store, ACME, IN_2020, 30).await?.take(3)?;
    store.append_audit(&expired.into()).await?;
    let mut kept = Chain::open_at(&store, ACME, IN_2020, 2555).await?;
    store.append_audit(&kept.take(2)?.into()).await?;
    let keeper = Keeper::start(store.clone(), Ledger::default(), keeping(&signer)?);
    eventually("the expired chain is gone", || async {
        let writers = store.audit_writers(ACME).await?;
        ensure!(writers == [kept.writer], "there are {writers:?}");
        Ok(())
    })
    .await?;
    keeper.close().await;
    let found = verified(&store, &signer, ACME).await?;
    assert_eq!((found.writers, found.records), (1, 2));
    assert!(found.is_whole() && found.checkpoints > 0, "{found:?}");
    Ok(())
}

/// Whoever asks.
pub async fn a_partition_is_kept_until_its_time_is_over(store: AnyStore) -> Result<()> {
    let now = Timestamp::now();
    let mut chain = Chain::open_at(&store, ACME, now.as_second(), 30).await?;
    store.append_audit(&chain.take(1)?.into()).await?;
    store.close_dead_writers(everybody()).await?;
    let partition = Partition {
        month: Month::of(now),
        retention_days: 30,
    };
    let expired = store.expired_partitions(now).await?;
    assert!(!expired.contains(&partition), "{expired:?}");
    let refused = store.drop_partition(partition).await;
    assert!(
        matches!(refused, Err(StoreError::Retained { .. })),
        "{refused:?}"
    );
    assert_eq!(store.audit_writers(ACME).await?, [chain.writer]);
    Ok(())
}

/// A chain does not vanish without a statement of how far it had come.
pub async fn a_partition_is_kept_until_a_checkpoint_states_its_chains(
    store: AnyStore,
) -> Result<()> {
    let mut chain = Chain::open_at(&store, ACME, IN_2020, 30).await?;
    store.append_audit(&chain.take(1)?.into()).await?;
    store.close_dead_writers(everybody()).await?;
    let expired = store.expired_partitions(Timestamp::now()).await?;
    let partition = *expired.first().context("the partition is not expired")?;
    let tenants = store.tenants_to_drop(partition).await?;
    assert!(tenants.contains(&ACME), "{tenants:?}");
    assert!(
        store.drop_partition(partition).await.is_err(),
        "it was removed unstated"
    );
    assert_eq!(store.audit_chain(ACME, chain.writer, 0, 10).await?.len(), 1);
    Ok(())
}

/// Only the person is gone.
pub async fn an_erased_actor_is_gone_and_the_chain_still_verifies(store: AnyStore) -> Result<()> {
    let signer = signer()?;
    let rows = Chain::open(&store, ACME).await?.take(3)?;
    store.append_audit(&rows.into()).await?;
    stated(&store, &signer, ACME).await?;
    assert_eq!(store.erase_actor(ACME, "alice").await?, 3);
    assert_eq!(
        store.erase_actor(ACME, "alice").await?,
        0,
        "there is nothing left"
    );
    let page = store
        .audit_page(ACME, &AuditFilter::default(), FIRST_PAGE)
        .await?;
    let erased = |record: &agentapi_gateway::domain::audit::Record| {
        let personal = [
            &record.actor,
            &record.address,
            &record.user_agent,
            &record.commitment_key,
        ];
        personal.iter().all(|field| field.is_none())
    };
    assert!(
        page.items.len() == 3 && page.items.iter().all(erased),
        "{page:?}"
    );
    let found = verified(&store, &signer, ACME).await?;
    assert!(found.is_whole(), "{found:?}");
    Ok(())
}

/// A user of the same name elsewhere is somebody else.
pub async fn an_erasure_stays_in_its_tenant(store: AnyStore) -> Result<()> {
    let rows = Chain::open(&store, GLOBEX).await?.take(1)?;
    store.append_audit(&rows.clone().into()).await?;
    assert_eq!(store.erase_actor(ACME, "alice").await?, 0);
    let page = store
        .audit_page(GLOBEX, &AuditFilter::default(), FIRST_PAGE)
        .await?;
    assert_eq!(page.items, [rows[0].record.clone()]);
    Ok(())
}

/// What an auditor does with the file; long enough to be read in several pages.
pub async fn an_export_verifies_without_the_store(store: AnyStore) -> Result<()> {
    let signer = signer()?;
    for length in [1100, 3] {
        let rows = Chain::open(&store, ACME).await?.take(length)?;
        store.append_audit(&rows.into()).await?;
        stated(&store, &signer, ACME).await?;
    }
    let foreign = Chain::open(&store, GLOBEX).await?.take(1)?;
    store.append_audit(&foreign.into()).await?;
    let stream = export(store, signer.clone(), ACME, "acme".to_owned());
    let text: Vec<u8> = stream.try_collect::<Vec<_>>().await?.concat();
    let mut check = ExportCheck::new(Some(signer.keys().clone()), None);
    let mut findings: Vec<Finding> = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        findings.extend(check.line(line)?);
    }
    let (report, last) = check.finish()?;
    findings.extend(last);
    assert_eq!(findings, []);
    assert_eq!(
        (report.records, report.writers, report.checkpoints),
        (1103, 2, 2)
    );
    Ok(())
}

/// What a crash can lose is in the database before anything can be lost.
pub async fn a_buffered_call_is_announced_before_it_is_acknowledged_early(
    store: AnyStore,
) -> Result<()> {
    let policy = Policy {
        durability: AuditDurability::Buffered,
        ..Policy::default()
    };
    let recorder = Recorder::with_policies(store.clone(), Arc::new(policy), Metrics::new()).await?;
    call(&recorder).await?;
    let dead = store.close_dead_writers(everybody()).await?;
    let may_lack: Vec<_> = dead.iter().map(|dead| dead.may_lack).collect();
    assert_eq!(may_lack, [MOST_BUFFERED]);
    recorder.close().await;
    Ok(())
}

async fn call(recorder: &Recorder) -> Result<()> {
    let resource = "notes/add".to_owned();
    let act = recorder
        .intent(ACME, &caller("alice"), Action::ToolCall, resource)
        .await?;
    Ok(act.finish(Outcome::Success, None).await?)
}

/// Erases somebody of a new organization. May run again on the same store.
pub async fn erase_a_new_actor(store: AnyStore) -> Result<()> {
    let tenant = TenantId(Uuid::new_v4());
    let rows = Chain::open(&store, tenant).await?.take(1)?;
    store.append_audit(&rows.into()).await?;
    let erased = store.erase_actor(tenant, "alice").await?;
    ensure!(erased == 1, "{erased} records were erased");
    Ok(())
}

/// Removes a chain of a new organization whose time is over. May run again on the same store.
pub async fn remove_a_new_expired_chain(store: AnyStore) -> Result<()> {
    let (signer, anchors) = (signer()?, cache::anchors(None)?);
    let tenant = TenantId(Uuid::new_v4());
    let mut chain = Chain::open_at(&store, tenant, IN_2020, 30).await?;
    store.append_audit(&chain.take(2)?.into()).await?;
    store.close_dead_writers(everybody()).await?;
    let to_state = store.tenants_to_state().await?;
    ensure!(to_state.contains(&tenant), "the closed chain is not found");
    stated(&store, &signer, tenant).await?;
    let expired = store.expired_partitions(Timestamp::now()).await?;
    let partition = *expired.first().context("the partition is not expired")?;
    for tenant in store.tenants_to_drop(partition).await? {
        checkpoint(&*store, &signer, &*anchors, tenant, Some(partition)).await?;
    }
    store.drop_partition(partition).await?;
    let left = store.audit_writers(tenant).await?;
    ensure!(left.is_empty(), "chains are left: {left:?}");
    let checkpoints = store.checkpoints(tenant, 0, 10).await?.len();
    ensure!(checkpoints == 1, "{checkpoints} checkpoints are left");
    Ok(())
}
