//! The record while connections die: what was acknowledged is there, and the chains are whole.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agentapi_crds::tenant_config::AuditDurability;
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::tcp_proxy::TcpProxy;
use agentapi_gateway::audit::{AuditError, Policy, Recorder, Verification, verify};
use agentapi_gateway::domain::audit::{Action, Context as Caller, Outcome, VerifyingKeys};
use agentapi_gateway::store::{self, Store, TenantId};
use agentapi_gateway::telemetry::Metrics;
use anyhow::Result;
use sqlx::Executor;
use uuid::Uuid;

const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));

const KILL_THE_GATEWAYS_CONNECTIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

fn caller() -> Arc<Caller> {
    Arc::new(Caller {
        organization: "acme".to_owned(),
        actor: "alice".to_owned(),
        api_key: None,
        request_id: "request-1".to_owned(),
        address: "192.0.2.7".to_owned(),
        user_agent: "curl/8".to_owned(),
    })
}

async fn record(recorder: &Recorder, resource: String) -> Result<(), AuditError> {
    recorder
        .record(
            ACME,
            &caller(),
            Action::ToolCall,
            resource,
            Outcome::Success,
            None,
        )
        .await
}

async fn resources(store: &dyn Store) -> Result<HashSet<String>> {
    let mut resources = HashSet::new();
    for writer in store.audit_writers(ACME).await? {
        let chain = store.audit_chain(ACME, writer, 0, 100_000).await?;
        resources.extend(chain.into_iter().map(|record| record.resource));
    }
    Ok(resources)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_records_survive_killed_connections_in_whole_chains() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let store = store::open(&database.gateway_url()).await?;
        let recorder = Recorder::start(store.clone()).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let (recorder, stop) = (recorder.clone(), stop.clone());
                tokio::spawn(async move {
                    let (mut acknowledged, mut refused) = (Vec::new(), 0);
                    for number in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                        let resource = format!("{caller}/{number}");
                        match record(&recorder, resource.clone()).await {
                            Ok(()) => acknowledged.push(resource),
                            Err(_) => refused += 1,
                        }
                    }
                    (acknowledged, refused)
                })
            })
            .collect();

        let mut superuser = database.connect(database.superuser_url()).await?;
        for _ in 0..20 {
            let before = resources_written(&mut superuser).await?;
            superuser.execute(KILL_THE_GATEWAYS_CONNECTIONS).await?;
            eventually("records are written again", || {
                let database = database.clone();
                async move {
                    let mut superuser = database.connect(database.superuser_url()).await?;
                    anyhow::ensure!(
                        resources_written(&mut superuser).await? > before,
                        "none yet"
                    );
                    Ok(())
                }
            })
            .await?;
        }
        stop.store(true, Ordering::SeqCst);

        let (mut acknowledged, mut refused) = (Vec::new(), 0);
        for caller in callers {
            let (of_caller, refused_of_caller) = caller.await?;
            acknowledged.extend(of_caller);
            refused += refused_of_caller;
        }
        recorder.close().await;
        assert!(
            refused > 0,
            "no connection was killed in time: the test shows nothing"
        );
        let written = resources(&*store).await?;
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|resource| !written.contains(*resource))
            .collect();
        assert_eq!(
            lost,
            Vec::<&String>::new(),
            "acknowledged, but not in the record"
        );
        let found = verify(&*store, ACME, &VerifyingKeys::default(), None).await?;
        assert!(found.is_whole(), "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_starts_a_new_chain_instead_of_a_fork() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let (proxy, url) = database.proxied_gateway_url().await?;
        let store = store::open(&url).await?;
        let recorder = Recorder::start(store.clone()).await?;
        record(&recorder, "before".to_owned()).await?;

        proxy.lose_reply_to(b"COMMIT");
        let unknown = record(&recorder, "unknown".to_owned()).await;
        assert!(
            matches!(unknown, Err(AuditError::Unavailable(_))),
            "{unknown:?}"
        );
        record(&recorder, "after".to_owned()).await?;

        let written = resources(&*store).await?;
        assert!(
            written.contains("unknown"),
            "the commit was to succeed without an answer: {written:?}"
        );
        let whole = Verification {
            writers: 2,
            records: 3,
            ..Verification::default()
        };
        let found = verify(&*store, ACME, &VerifyingKeys::default(), None).await?;
        assert_eq!(found, whole);
        Ok(())
    })
    .await
}

async fn resources_written(superuser: &mut sqlx::PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM audit_logs")
        .fetch_one(superuser)
        .await?)
}

/// Stopped, slow, restarted: what cannot be recorded is refused as such, and
/// nothing has to be restarted here.
async fn refused_and_back(break_it: fn(&TcpProxy)) -> Result<()> {
    TestDatabase::with(move |database| async move {
        store::migrate(&database.owner_url()).await?;
        let (proxy, url) = database.proxied_gateway_url().await?;
        let store = store::open(&url).await?;
        let recorder = Recorder::start(store.clone()).await?;
        record(&recorder, "before".to_owned()).await?;

        break_it(&proxy);
        let refused = record(&recorder, "during".to_owned()).await;
        assert!(
            matches!(refused, Err(AuditError::Unavailable(_))),
            "{refused:?}"
        );
        assert!(
            store.ping().await.is_err(),
            "the store says that it is well"
        );
        proxy.heal();
        eventually("records are written again", || async {
            Ok(record(&recorder, "after".to_owned()).await?)
        })
        .await?;

        let written = resources(&*store).await?;
        assert!(written.contains("before") && written.contains("after"));
        let found = verify(&*store, ACME, &VerifyingKeys::default(), None).await?;
        assert!(found.is_whole(), "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_database_that_is_away_refuses_records_until_it_is_back() -> Result<()> {
    refused_and_back(TcpProxy::cut).await
}

#[tokio::test]
async fn a_database_that_hangs_refuses_records_until_it_answers_again() -> Result<()> {
    refused_and_back(TcpProxy::hold).await
}

#[tokio::test]
async fn buffered_records_survive_an_outage_of_the_database() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let (proxy, url) = database.proxied_gateway_url().await?;
        let store = store::open(&url).await?;
        let policy = Policy {
            durability: AuditDurability::Buffered,
            ..Policy::default()
        };
        let recorder =
            Recorder::with_policies(store.clone(), Arc::new(policy), Metrics::new()).await?;
        call(&recorder, "first").await?;

        proxy.cut();
        for number in 0..20 {
            call(&recorder, &format!("during/{number}")).await?;
        }
        proxy.heal();
        recorder.close().await;

        let written = resources(&*store).await?;
        let lost = (0..20).filter(|number| !written.contains(&format!("during/{number}")));
        assert_eq!(
            lost.count(),
            0,
            "records that were acknowledged are not written"
        );
        Ok(())
    })
    .await
}

async fn call(recorder: &Recorder, resource: &str) -> Result<(), AuditError> {
    let act = recorder
        .intent(ACME, &caller(), Action::ToolCall, resource.to_owned())
        .await?;
    act.finish(Outcome::Success, None).await
}
