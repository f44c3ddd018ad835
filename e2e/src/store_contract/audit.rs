//! The audit record.

use std::sync::Arc;

use agentapi_gateway::audit::{Recorder, Verification, verify};
use agentapi_gateway::domain::audit::{
    Action, Context as Caller, Entry, Head, Month, Outcome, Partition, Record, Stamp, VerifyingKeys,
};
use agentapi_gateway::store::{AuditFilter, AuditRow, Page, TenantId, WriterId};
use anyhow::{Context, Result};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{ACME, AnyStore, FIRST_PAGE, GLOBEX};

const LONG_AGO: i64 = 1_790_000_000;

/// A chain of one tenant, a second between its records.
pub(super) struct Chain {
    tenant: TenantId,
    pub(super) writer: WriterId,
    head: Head,
    started: i64,
}

impl Chain {
    pub(super) async fn open(store: &AnyStore, tenant: TenantId) -> Result<Self> {
        Self::open_at(store, tenant, LONG_AGO, 365).await
    }

    /// A chain that begins at a second since 1970.
    pub(super) async fn open_at(
        store: &AnyStore,
        tenant: TenantId,
        started: i64,
        retention_days: u32,
    ) -> Result<Self> {
        let writer = WriterId(Uuid::now_v7());
        let month = Month::of(Timestamp::from_second(started)?);
        let partition = Partition {
            month,
            retention_days,
        };
        store.open_writer(writer, partition).await?;
        Ok(Self {
            tenant,
            writer,
            head: Head::default(),
            started,
        })
    }

    fn next(&mut self, actor: &str, action: Action) -> Result<AuditRow> {
        let time = Timestamp::from_second(self.started)?
            + SignedDuration::from_secs(self.head.sequence as i64);
        let milliseconds = u128::try_from(time.as_millisecond())?;
        let low = self.writer.0.as_u128() & 0xFFFF_FFFF_0000 | u128::from(self.head.sequence);
        let stamp = Stamp {
            id: Uuid::from_u128(milliseconds << 80 | 7 << 76 | 2 << 62 | low),
            time,
            key: *Uuid::new_v4().as_bytes(),
        };
        let entry = Entry {
            context: caller(actor),
            action,
            resource: "notes/add_note".to_owned(),
            outcome: Outcome::Failure,
            reason: Some("upstream_timeout"),
        };
        let record = self.head.seal(self.writer.0, stamp, &entry);
        self.head = Head::after(&record);
        Ok(AuditRow {
            tenant: self.tenant,
            record,
        })
    }

    pub(super) fn take(&mut self, number: usize) -> Result<Vec<AuditRow>> {
        (0..number)
            .map(|_| self.next("alice", Action::ToolCall))
            .collect()
    }
}

/// The key that bob acts by; alice has none.
const BOBS_KEY: Uuid = Uuid::from_u128(0xB0B);

pub(super) fn caller(actor: &str) -> Arc<Caller> {
    Arc::new(Caller {
        organization: "acme".to_owned(),
        actor: actor.to_owned(),
        api_key: (actor == "bob").then_some(BOBS_KEY),
        request_id: "request-1".to_owned(),
        address: "2001:db8::7".to_owned(),
        user_agent: "Größe/1 \"quoted\"".to_owned(),
    })
}

fn records(rows: &[AuditRow]) -> Vec<Record> {
    rows.iter().map(|row| row.record.clone()).collect()
}

async fn page(store: &AnyStore, tenant: TenantId, filter: AuditFilter) -> Result<Vec<Record>> {
    Ok(store.audit_page(tenant, &filter, FIRST_PAGE).await?.items)
}

/// Equal in every field, so that hashes computed from what is read are right.
pub async fn audit_records_read_back_as_they_were_sealed(store: AnyStore) -> Result<()> {
    let mut chain = Chain::open(&store, ACME).await?;
    let mut rows = chain.take(3)?;
    rows.push(chain.next("bob", Action::PromptGet)?);
    store.append_audit(&rows.clone().into()).await?;
    let writer = WriterId(rows[0].record.writer);
    assert_eq!(store.audit_writers(ACME).await?, [writer]);
    assert_eq!(
        store.audit_chain(ACME, writer, 0, 100).await?,
        records(&rows)
    );
    assert_eq!(
        store.audit_chain(ACME, writer, 1, 1).await?,
        records(&rows[1..2])
    );
    Ok(())
}

/// Not in a page, not among the writers, not in a chain.
pub async fn audit_records_of_another_tenant_are_not_seen(store: AnyStore) -> Result<()> {
    let rows = Chain::open(&store, ACME).await?.take(3)?;
    store.append_audit(&rows.clone().into()).await?;
    assert_eq!(page(&store, GLOBEX, AuditFilter::default()).await?, []);
    assert_eq!(store.audit_writers(GLOBEX).await?, []);
    assert_eq!(
        store
            .audit_chain(GLOBEX, WriterId(rows[0].record.writer), 0, 100)
            .await?,
        []
    );
    Ok(())
}

/// Pages fit together without a gap or an overlap.
pub async fn audit_records_are_listed_newest_first_in_pages(store: AnyStore) -> Result<()> {
    let rows = Chain::open(&store, ACME).await?.take(5)?;
    store.append_audit(&rows.clone().into()).await?;
    let mut expected = records(&rows);
    expected.reverse();

    let first = store
        .audit_page(
            ACME,
            &AuditFilter::default(),
            Page {
                limit: 3,
                after: None,
            },
        )
        .await?;
    let rest = store
        .audit_page(
            ACME,
            &AuditFilter::default(),
            Page {
                limit: 3,
                after: first.next,
            },
        )
        .await?;
    assert_eq!(
        (first.items.len(), rest.items.len(), rest.next),
        (3, 2, None)
    );
    assert_eq!([first.items, rest.items].concat(), expected);
    Ok(())
}

/// Each filter alone, and together.
pub async fn audit_records_are_found_by_each_filter(store: AnyStore) -> Result<()> {
    let mut chain = Chain::open(&store, ACME).await?;
    let rows = [
        chain.next("alice", Action::ToolCall)?,
        chain.next("bob", Action::ToolCall)?,
        chain.next("alice", Action::PromptGet)?,
        chain.next("bob", Action::PromptGet)?,
    ];
    store.append_audit(&rows.to_vec().into()).await?;
    let second = |number| Timestamp::from_second(LONG_AGO + number).ok();
    let tool = || Some(Action::ToolCall.name().to_owned());
    let bob = || Some("bob".to_owned());
    let none = AuditFilter::default;
    let cases = [
        (
            AuditFilter {
                action: tool(),
                ..none()
            },
            vec![2, 1],
        ),
        (
            AuditFilter {
                actor: bob(),
                ..none()
            },
            vec![4, 2],
        ),
        (
            AuditFilter {
                action: tool(),
                actor: bob(),
                ..none()
            },
            vec![2],
        ),
        (
            AuditFilter {
                since: second(2),
                ..none()
            },
            vec![4, 3],
        ),
        (
            AuditFilter {
                until: second(2),
                ..none()
            },
            vec![2, 1],
        ),
        (
            AuditFilter {
                since: second(1),
                until: second(3),
                ..none()
            },
            vec![3, 2],
        ),
        (
            AuditFilter {
                resource: Some("notes/add_note".to_owned()),
                outcome: Some("failure".to_owned()),
                ..none()
            },
            vec![4, 3, 2, 1],
        ),
        (
            AuditFilter {
                resource: Some("notes".to_owned()),
                ..none()
            },
            vec![],
        ),
        (
            AuditFilter {
                outcome: Some("success".to_owned()),
                ..none()
            },
            vec![],
        ),
        (
            AuditFilter {
                api_key: Some(BOBS_KEY),
                ..none()
            },
            vec![4, 2],
        ),
        (
            AuditFilter {
                actor: Some("nobody".to_owned()),
                ..none()
            },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        let found: Vec<u64> = page(&store, ACME, filter.clone())
            .await?
            .iter()
            .map(|record| record.sequence)
            .collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    Ok(())
}

/// One bad row of one tenant: no row of any tenant.
pub async fn a_batch_is_written_whole_or_not_at_all(store: AnyStore) -> Result<()> {
    let mut rows = Chain::open(&store, ACME).await?.take(2)?;
    let unknown_writer = Uuid::now_v7();
    let mut foreign = Chain {
        tenant: GLOBEX,
        writer: WriterId(unknown_writer),
        head: Head::default(),
        started: LONG_AGO,
    };
    rows.extend(foreign.take(1)?);
    assert!(
        store.append_audit(&rows.into()).await.is_err(),
        "a writer that was never opened can write"
    );
    assert_eq!(page(&store, ACME, AuditFilter::default()).await?, []);
    Ok(())
}

/// A writer that lost its head cannot fork its chain.
pub async fn a_position_in_a_chain_is_taken_once(store: AnyStore) -> Result<()> {
    let mut chain = Chain::open(&store, ACME).await?;
    let first = chain.take(1)?;
    store.append_audit(&first.clone().into()).await?;
    chain.head = Head::default();
    assert!(
        store.append_audit(&chain.take(1)?.into()).await.is_err(),
        "a second record took position 1"
    );
    assert_eq!(
        page(&store, ACME, AuditFilter::default()).await?,
        records(&first)
    );
    Ok(())
}

/// The recorder on the real database, from many tasks.
pub async fn concurrent_acts_of_many_tenants_make_chains_that_verify(
    store: AnyStore,
) -> Result<()> {
    let recorder = Recorder::start(store.clone()).await?;
    let acts = (0..200).map(|number| {
        let recorder = recorder.clone();
        let tenant = if number % 2 == 0 { ACME } else { GLOBEX };
        tokio::spawn(async move {
            let act = recorder
                .intent(
                    tenant,
                    &caller("alice"),
                    Action::ToolCall,
                    "notes/add".to_owned(),
                )
                .await?;
            act.finish(Outcome::Success, None).await
        })
    });
    for result in try_join_all(acts).await? {
        result.context("an act was not recorded")?;
    }
    recorder.close().await;
    for tenant in [ACME, GLOBEX] {
        let whole = Verification {
            writers: 1,
            records: 200,
            ..Verification::default()
        };
        let found = verify(&*store, tenant, &VerifyingKeys::default(), None).await?;
        assert_eq!(found, whole, "{tenant:?}");
    }
    Ok(())
}
