//! The recorder on a real store, and on one that fails on demand.

use std::collections::VecDeque;
use std::sync::Mutex;

use agentapi_crds::tenant_config::AuditDurability;
use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;
use crate::audit::{Verification, verify};
use crate::domain::audit::Record;
use crate::domain::audit::{Partition, VerifyingKeys};
use crate::store::{self, AuditBatch, AuditFilter, Page, Paged, Store, StoreError, WriterId};
use crate::telemetry::Metrics;

const ACME: TenantId = TenantId(Uuid::from_u128(1));
const GLOBEX: TenantId = TenantId(Uuid::from_u128(2));

/// What a commit does instead of succeeding.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Nothing is written, and the store says so.
    Refused,
    /// The batch is written, but the store cannot say so.
    LostAfterCommit,
}

/// A real store whose next commits fail in the given ways, and wait for a permit each.
struct Faulty {
    store: Arc<dyn Store>,
    faults: Mutex<VecDeque<Fault>>,
    commits: Semaphore,
    /// Size of each batch that reached the store.
    batches: Mutex<Vec<usize>>,
}

impl Faulty {
    async fn new(faults: &[Fault]) -> Arc<Self> {
        Self::with_permits(faults, Semaphore::MAX_PERMITS).await
    }

    async fn with_permits(faults: &[Fault], permits: usize) -> Arc<Self> {
        let store = store::open(&SecretString::from("sqlite::memory:"))
            .await
            .expect("SQLite opens");
        Arc::new(Self {
            store,
            faults: Mutex::new(faults.iter().copied().collect()),
            commits: Semaphore::new(permits),
            batches: Mutex::default(),
        })
    }
}

/// Lets other tasks run until the condition holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())
}

#[async_trait]
impl AuditStore for Faulty {
    async fn open_writer(&self, writer: WriterId, partition: Partition) -> Result<(), StoreError> {
        self.store.open_writer(writer, partition).await
    }

    async fn append_audit(&self, batch: &AuditBatch) -> Result<(), StoreError> {
        self.batches
            .lock()
            .expect("no panic")
            .push(batch.rows.len());
        self.commits.acquire().await.expect("never closed").forget();
        let fault = self.faults.lock().expect("no panic").pop_front();
        match fault {
            Some(Fault::Refused) => Err(StoreError::Unavailable(lost())),
            Some(Fault::LostAfterCommit) => {
                self.store.append_audit(batch).await?;
                Err(StoreError::OutcomeUnknown(lost()))
            }
            None => self.store.append_audit(batch).await,
        }
    }

    async fn audit_page(
        &self,
        tenant: TenantId,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Paged<Record>, StoreError> {
        self.store.audit_page(tenant, filter, page).await
    }

    async fn audit_writers(&self, tenant: TenantId) -> Result<Vec<WriterId>, StoreError> {
        self.store.audit_writers(tenant).await
    }

    async fn audit_chain(
        &self,
        tenant: TenantId,
        writer: WriterId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        self.store.audit_chain(tenant, writer, after, limit).await
    }
}

fn context() -> Arc<Context> {
    Arc::new(Context {
        organization: "acme".to_owned(),
        actor: "alice".to_owned(),
        api_key: None,
        request_id: "request-1".to_owned(),
        address: "192.0.2.7".to_owned(),
        user_agent: "curl/8".to_owned(),
    })
}

async fn note(recorder: &Recorder, tenant: TenantId) -> Result<(), AuditError> {
    recorder
        .record(
            tenant,
            &context(),
            Action::AccessDenied,
            "notes".to_owned(),
            Outcome::Denied,
            Some("not_allowed"),
        )
        .await
}

async fn records(store: &Faulty, tenant: TenantId) -> Vec<Record> {
    let page = Page {
        limit: 200,
        after: None,
    };
    let mut records = store
        .audit_page(tenant, &AuditFilter::default(), page)
        .await
        .expect("the page is read")
        .items;
    records.reverse();
    records
}

async fn whole(store: &Faulty, tenant: TenantId) -> Verification {
    let verification = verify(&*store.store, tenant, &VerifyingKeys::default(), None)
        .await
        .expect("the chains are read");
    assert!(verification.is_whole(), "{tenant:?}: {verification:?}");
    verification
}

#[tokio::test]
async fn an_act_leaves_its_intent_and_its_outcome() {
    let store = Faulty::new(&[]).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    let act = recorder
        .intent(ACME, &context(), Action::ToolCall, "notes/add".to_owned())
        .await
        .expect("recorded");
    act.finish(Outcome::Success, None).await.expect("recorded");
    let outcomes: Vec<_> = records(&store, ACME)
        .await
        .iter()
        .map(|record| record.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Intent, Outcome::Success]);
}

#[tokio::test]
async fn an_intent_is_durable_when_the_call_returns() {
    let store = Faulty::new(&[]).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    let _act = recorder
        .intent(ACME, &context(), Action::ToolCall, "notes/add".to_owned())
        .await
        .expect("recorded");
    assert_eq!(records(&store, ACME).await.len(), 1);
}

#[tokio::test]
async fn an_act_that_is_dropped_is_recorded_as_abandoned() {
    let store = Faulty::new(&[]).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    drop(
        recorder
            .intent(ACME, &context(), Action::ToolCall, "notes/add".to_owned())
            .await
            .expect("recorded"),
    );
    while records(&store, ACME).await.len() < 2 {
        tokio::task::yield_now().await;
    }
    let last = records(&store, ACME).await.pop().expect("two records");
    assert_eq!(
        (last.outcome, last.reason.as_deref()),
        (Outcome::Failure, Some("abandoned"))
    );
}

#[tokio::test]
async fn a_caller_that_goes_away_while_its_intent_is_committed_is_recorded_as_abandoned() {
    let store = Faulty::with_permits(&[], 0).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    let caller = tokio::spawn({
        let recorder = recorder.clone();
        async move {
            let _act = recorder
                .intent(ACME, &context(), Action::ToolCall, "notes/add".to_owned())
                .await;
            std::future::pending::<()>().await;
        }
    });
    until(|| !store.batches.lock().expect("no panic").is_empty()).await;
    caller.abort();
    let _ = caller.await;
    store.commits.add_permits(10);
    while records(&store, ACME).await.len() < 2 {
        tokio::task::yield_now().await;
    }
    let outcomes: Vec<_> = records(&store, ACME)
        .await
        .iter()
        .map(|record| record.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Intent, Outcome::Failure]);
}

#[tokio::test]
async fn records_that_come_while_one_is_committed_share_the_next_commit() {
    let store = Faulty::with_permits(&[], 0).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    let entry = Entry {
        context: context(),
        action: Action::ToolCall,
        resource: "notes/add".to_owned(),
        outcome: Outcome::Intent,
        reason: None,
    };
    let submit = |tenant| {
        recorder
            .lane
            .submit(tenant, Policy::default(), entry.clone())
    };
    let mut committed = vec![submit(ACME).await.expect("the queue has room")];
    until(|| store.batches.lock().expect("no panic").len() == 1).await;
    for number in 0..99 {
        let tenant = if number % 3 == 0 { GLOBEX } else { ACME };
        committed.push(submit(tenant).await.expect("the queue has room"));
    }
    // All of them have left the queue: the writer has sealed them.
    until(|| recorder.lane.submissions.capacity() == QUEUE).await;
    store.commits.add_permits(100);
    for committed in committed {
        outcome_of(committed).await.expect("recorded");
    }
    assert_eq!(*store.batches.lock().expect("no panic"), [1, 99]);
    assert_eq!(
        (
            whole(&store, ACME).await.records,
            whole(&store, GLOBEX).await.records
        ),
        (67, 33)
    );
}

#[tokio::test]
async fn a_refused_commit_is_reported_and_leaves_no_gap() {
    let store = Faulty::new(&[Fault::Refused]).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    let refused = note(&recorder, ACME).await;
    assert!(
        matches!(refused, Err(AuditError::Unavailable(_))),
        "{refused:?}"
    );
    note(&recorder, ACME).await.expect("recorded");
    let verification = whole(&store, ACME).await;
    assert_eq!((verification.writers, verification.records), (1, 1));
}

#[tokio::test]
async fn an_unknown_outcome_starts_a_new_epoch_instead_of_a_fork() {
    let store = Faulty::new(&[Fault::LostAfterCommit]).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    let unknown = note(&recorder, ACME).await;
    assert!(
        matches!(unknown, Err(AuditError::Unavailable(_))),
        "{unknown:?}"
    );
    note(&recorder, ACME).await.expect("recorded");
    let verification = whole(&store, ACME).await;
    assert_eq!((verification.writers, verification.records), (2, 2));
}

#[tokio::test]
async fn closing_commits_what_waits_and_refuses_what_comes_later() {
    let store = Faulty::new(&[]).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    let act = recorder
        .intent(ACME, &context(), Action::ToolCall, "notes/add".to_owned())
        .await
        .expect("recorded");
    let entry = act.open.clone().expect("an act begun is open");
    let _committed = recorder
        .lane
        .submit(ACME, Policy::default(), entry)
        .await
        .expect("the queue has room");
    recorder.close().await;
    assert_eq!(records(&store, ACME).await.len(), 2);
    assert!(matches!(
        note(&recorder, ACME).await,
        Err(AuditError::Closed)
    ));
}

#[tokio::test]
async fn a_callers_nul_character_does_not_fail_the_batch_of_others() {
    let store = Faulty::new(&[]).await;
    let recorder = Recorder::start(store.clone()).await.expect("starts");
    let denied = (Action::AccessDenied, "a\0b".to_owned(), Outcome::Denied);
    recorder
        .record(ACME, &context(), denied.0, denied.1, denied.2, None)
        .await
        .expect("recorded");
    assert_eq!(records(&store, ACME).await[0].resource, "a\u{fffd}b");
}

/// A recorder of organizations that let calls be buffered, whose writer is announced.
async fn buffering(store: &Arc<Faulty>) -> Recorder {
    let policy = Policy {
        durability: AuditDurability::Buffered,
        ..Policy::default()
    };
    let recorder = Recorder::with_policies(store.clone(), Arc::new(policy), Metrics::new())
        .await
        .expect("starts");
    call(&recorder).await.expect("recorded");
    recorder
}

/// The intent of a call; its outcome is recorded by nobody.
async fn call(recorder: &Recorder) -> Result<(), AuditError> {
    let resource = "notes/add".to_owned();
    let mut act = recorder
        .intent(ACME, &context(), Action::ToolCall, resource)
        .await?;
    act.open = None;
    Ok(())
}

#[tokio::test]
async fn a_buffered_call_is_acknowledged_before_it_is_written() {
    let store = Faulty::with_permits(&[], 1).await;
    let recorder = buffering(&store).await;
    call(&recorder).await.expect("acknowledged");
    assert_eq!(records(&store, ACME).await.len(), 1, "it was waited for");
    store.commits.add_permits(10);
    while records(&store, ACME).await.len() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_more_calls_than_the_bound_are_acknowledged_before_they_are_written() {
    let store = Faulty::with_permits(&[], 1).await;
    let recorder = buffering(&store).await;
    for _ in 0..super::super::MOST_BUFFERED {
        call(&recorder).await.expect("acknowledged");
    }
    let mut beyond = Box::pin(call(&recorder));
    let acknowledged = futures::poll!(beyond.as_mut()).is_ready();
    assert!(!acknowledged, "a call beyond the bound was not waited for");
    store.commits.add_permits(Semaphore::MAX_PERMITS / 2);
    beyond.await.expect("written");
}

#[tokio::test]
async fn what_was_acknowledged_early_is_tried_again_until_it_is_written() {
    let store = Faulty::with_permits(&[], 1).await;
    let recorder = buffering(&store).await;
    let faults = [Fault::Refused, Fault::LostAfterCommit, Fault::Refused];
    store.faults.lock().expect("no panic").extend(faults);
    call(&recorder).await.expect("acknowledged");
    store.commits.add_permits(10);
    recorder.close().await;
    let written = records(&store, ACME).await.len();
    assert_eq!(
        written, 3,
        "one, and one twice because its first commit gave no answer"
    );
    whole(&store, ACME).await;
}

#[tokio::test]
async fn a_refusal_is_written_before_it_is_acknowledged_whatever_the_organization_chose() {
    let store = Faulty::with_permits(&[], 1).await;
    let recorder = buffering(&store).await;
    let mut refusal = Box::pin(note(&recorder, ACME));
    let acknowledged = futures::poll!(refusal.as_mut()).is_ready();
    assert!(!acknowledged, "it was not waited for");
    store.commits.add_permits(10);
    refusal.await.expect("written");
}
