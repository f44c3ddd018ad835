//! The record: sealing, checking, and what it costs a request.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use agentapi_gateway::audit::Recorder;
use agentapi_gateway::domain::audit::{
    Action, ChainCheck, Context, Entry, Head, Outcome, Partition, Record, Stamp,
};
use agentapi_gateway::store::{
    AuditBatch, AuditFilter, AuditStore, Page, Paged, StoreError, TenantId, WriterId,
};
use anyhow::Result;
use async_trait::async_trait;
use criterion::Criterion;
use futures::future::join_all;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(0xACE));
/// Requests in flight, each of which records one act after the other.
const CALLERS: u64 = 64;

pub(crate) fn measure(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("audit");
    let head = Head::default();
    let writer = Uuid::now_v7();
    let stamp = Stamp {
        id: Uuid::now_v7(),
        time: Timestamp::now(),
        key: [7; 16],
    };
    let entry = Entry {
        context: Arc::new(context()),
        action: Action::ToolCall,
        resource: "notes/add_note".to_owned(),
        outcome: Outcome::Success,
        reason: None,
    };
    group.bench_function("sealed record", |bencher| {
        bencher.iter(|| head.seal(writer, stamp, black_box(&entry)));
    });
    let record = head.seal(writer, stamp, &entry);
    group.bench_function("checked record", |bencher| {
        bencher.iter(|| ChainCheck::new(writer, None).next(black_box(&record)));
    });
    group.bench_function("record as a line of an export", |bencher| {
        bencher.iter(|| serde_json::to_vec(black_box(&record)).map(|line| line.len()));
    });

    // What requests themselves do: an intent and an outcome each. The task that
    // commits has another thread, whose time is not counted.
    let committing = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let recorder = committing.block_on(Recorder::start(Arc::new(Instant)))?;
    let requests = Builder::new_current_thread().enable_all().build()?;
    let context = Arc::new(context());
    group.bench_function("request path", |bencher| {
        bencher.iter_custom(|acts| {
            let of_each = acts.div_ceil(CALLERS);
            let started = thread_time();
            requests.block_on(join_all(
                (0..CALLERS).map(|_| acts_of(&recorder, &context, of_each)),
            ));
            let took = thread_time() - started;
            took.mul_f64(acts as f64 / (of_each * CALLERS) as f64)
        });
    });
    committing.block_on(recorder.close());
    group.finish();
    Ok(())
}

async fn acts_of(recorder: &Recorder, context: &Arc<Context>, acts: u64) {
    for _ in 0..acts {
        let resource = "notes/add_note".to_owned();
        let intent = recorder
            .intent(TENANT, context, Action::ToolCall, resource)
            .await;
        if let Ok(act) = intent {
            black_box(act.finish(Outcome::Success, None).await.is_ok());
        }
    }
}

/// CPU time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

fn context() -> Context {
    Context {
        organization: "acme".to_owned(),
        actor: "8a6e0804-2bd0-4672-b79d-d97027f9071a".to_owned(),
        api_key: None,
        request_id: Uuid::now_v7().to_string(),
        address: "192.0.2.7".to_owned(),
        user_agent: "bench/1".to_owned(),
    }
}

/// Commits at once: a database costs a request nothing but waiting.
struct Instant;

#[async_trait]
impl AuditStore for Instant {
    async fn open_writer(&self, _: WriterId, _: Partition) -> Result<(), StoreError> {
        Ok(())
    }

    async fn append_audit(&self, _: &AuditBatch) -> Result<(), StoreError> {
        Ok(())
    }

    async fn audit_page(
        &self,
        _: TenantId,
        _: &AuditFilter,
        _: Page,
    ) -> Result<Paged<Record>, StoreError> {
        Ok(Paged {
            items: vec![],
            next: None,
        })
    }

    async fn audit_writers(&self, _: TenantId) -> Result<Vec<WriterId>, StoreError> {
        Ok(vec![])
    }

    async fn audit_chain(
        &self,
        _: TenantId,
        _: WriterId,
        _: u64,
        _: u32,
    ) -> Result<Vec<Record>, StoreError> {
        Ok(vec![])
    }
}
