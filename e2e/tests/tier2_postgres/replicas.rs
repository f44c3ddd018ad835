//! Two replicas on one database: each has its own connections and knows nothing of the other.

use std::sync::Arc;

use agentapi_e2e::postgres::TestDatabase;
use agentapi_gateway::store::{
    self, Created, IdempotencyKey, NewSession, Store, StoreError, TenantId,
};
use anyhow::{Context, Result};
use futures::future::join_all;
use sqlx::{Executor, query_scalar};
use uuid::Uuid;

const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));

fn session(max_per_user: u32) -> NewSession {
    NewSession {
        user: "alice".to_owned(),
        workspace: "default".to_owned(),
        metadata: serde_json::json!({}),
        expires_at: jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1),
        idle_timeout_seconds: 600,
        max_per_user,
    }
}

async fn replicas(database: &TestDatabase) -> Result<[Arc<dyn Store>; 2]> {
    store::migrate(&database.owner_url()).await?;
    Ok([
        store::open(&database.gateway_url()).await?,
        store::open(&database.gateway_url()).await?,
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_session_limit_is_exact_across_replicas() -> Result<()> {
    TestDatabase::with(|database| async move {
        let replicas = replicas(&database).await?;
        let creates = (0..60).map(|turn| {
            let replica = replicas[turn % 2].clone();
            tokio::spawn(async move { replica.create_session(ACME, session(10)).await })
        });
        let mut created = 0;
        for result in join_all(creates).await {
            match result? {
                Ok(_) => created += 1,
                Err(StoreError::SessionLimit { limit: 10 }) => {}
                Err(error) => return Err(error).context("another reason than the limit"),
            }
        }
        assert_eq!(created, 10);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_idempotency_key_creates_once_across_replicas() -> Result<()> {
    TestDatabase::with(|database| async move {
        let replicas = replicas(&database).await?;
        let creates = (0..40).map(|turn| {
            let replica = replicas[turn % 2].clone();
            tokio::spawn(async move {
                let once = IdempotencyKey {
                    key: "k".to_owned(),
                    fingerprint: [1; 32],
                };
                replica.create_session_once(ACME, session(100), &once).await
            })
        });
        let mut now = 0;
        for result in join_all(creates).await {
            now += u32::from(matches!(result??, Created::Now(_)));
        }
        assert_eq!(now, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_sweeper_sees_and_removes_only_what_has_ended() -> Result<()> {
    TestDatabase::with(|database| async move {
        let [one, _] = replicas(&database).await?;
        let live = one.create_session(ACME, session(10)).await?;
        let mut ended = session(10);
        ended.user = "bob".to_owned();
        ended.idle_timeout_seconds = 0;
        one.create_session(ACME, ended).await?;
        let mut worker = database.connect(database.gateway_url()).await?;
        worker.execute("SET ROLE agentapi_worker").await?;
        let seen: i64 = query_scalar("SELECT count(id) FROM sessions")
            .fetch_one(&mut worker)
            .await?;
        assert_eq!(seen, 1, "the worker sees sessions that have not ended");
        let removed = worker
            .execute("DELETE FROM sessions")
            .await?
            .rows_affected();
        assert_eq!(
            removed, 1,
            "the worker removes sessions that have not ended"
        );
        let content = worker.execute("SELECT metadata FROM sessions").await;
        assert!(content.is_err(), "the worker reads what sessions hold");
        let left = one.touch_session(ACME, "alice", live.id).await?;
        assert_eq!(left, Some(live));
        Ok(())
    })
    .await
}
