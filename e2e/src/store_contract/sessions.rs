//! Agent sessions.

use agentapi_gateway::store::{Created, IdempotencyKey, NewSession, Page, StoreError};
use anyhow::{Context, Result};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{ACME, AnyStore, FIRST_PAGE, GLOBEX, session_of};
use crate::eventually::eventually;

/// What is written is what is read, to the microsecond.
pub async fn a_session_reads_back_as_it_was_created(store: AnyStore) -> Result<()> {
    let created = store.create_session(ACME, session_of("alice")).await?;
    assert_eq!(
        store.touch_session(ACME, "alice", created.id).await?,
        Some(created.clone())
    );
    assert_eq!(
        store.list_sessions(ACME, "alice", FIRST_PAGE).await?.items,
        [created]
    );
    Ok(())
}

/// Metadata is the client's: escapes and large numbers survive.
pub async fn a_sessions_metadata_reads_back_byte_for_byte(store: AnyStore) -> Result<()> {
    let metadata = json!({"nul": "\0", "text": "ü\"\\", "number": 9007199254740993_u64, "nested": [null, {"a": 1.5}]});
    let created = store.create_session(ACME, session_of("alice")).await?;
    let changed = store
        .set_session_metadata(ACME, "alice", created.id, &metadata)
        .await?;
    assert_eq!(changed.context("the session is there")?.metadata, metadata);
    let read = store
        .touch_session(ACME, "alice", created.id)
        .await?
        .context("the session is there")?;
    assert_eq!(read.metadata.to_string(), metadata.to_string());
    Ok(())
}

/// Every function answers for someone else's session as for one that never was.
pub async fn a_session_is_another_users_and_another_tenants_no_business(
    store: AnyStore,
) -> Result<()> {
    let id = store.create_session(ACME, session_of("alice")).await?.id;
    for (tenant, user) in [(ACME, "bob"), (GLOBEX, "alice")] {
        let seen = store.touch_session(tenant, user, id).await?;
        assert_eq!(seen, None, "{user} of {tenant:?} reads it");
        let listed = store.list_sessions(tenant, user, FIRST_PAGE).await?.items;
        assert_eq!(listed, [], "{user} of {tenant:?} lists it");
        let changed = store
            .set_session_metadata(tenant, user, id, &json!({"stolen": true}))
            .await?;
        assert_eq!(changed, None, "{user} of {tenant:?} changes it");
        let ended = store.end_session(tenant, user, id).await?;
        assert!(!ended, "{user} of {tenant:?} ends it");
    }
    let untouched = store
        .touch_session(ACME, "alice", id)
        .await?
        .context("the session is there")?;
    assert_eq!(untouched.metadata, json!({"purpose": "test"}));
    Ok(())
}

/// Fifty at once, ten allowed: exactly ten come to be.
pub async fn the_session_limit_holds_under_concurrent_creates(store: AnyStore) -> Result<()> {
    let creates = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .create_session(
                    ACME,
                    NewSession {
                        max_per_user: 10,
                        ..session_of("alice")
                    },
                )
                .await
        })
    });
    let mut created = 0;
    for result in join_all(creates).await {
        match result? {
            Ok(_) => created += 1,
            Err(StoreError::SessionLimit { limit }) => assert_eq!(limit, 10),
            Err(error) => {
                return Err(error).context("a create failed for another reason than the limit");
            }
        }
    }
    assert_eq!(created, 10);
    assert_eq!(
        store
            .list_sessions(ACME, "alice", FIRST_PAGE)
            .await?
            .items
            .len(),
        10
    );
    Ok(())
}

/// The limit is per user of a tenant.
pub async fn the_session_limit_counts_each_user_and_tenant_alone(store: AnyStore) -> Result<()> {
    for (tenant, user) in [(ACME, "alice"), (ACME, "bob"), (GLOBEX, "alice")] {
        let first = store
            .create_session(
                tenant,
                NewSession {
                    max_per_user: 1,
                    ..session_of(user)
                },
            )
            .await;
        assert!(first.is_ok(), "{user} of {tenant:?}: {first:?}");
    }
    Ok(())
}

/// Ending a session frees its place.
pub async fn an_ended_session_makes_room_for_another(store: AnyStore) -> Result<()> {
    let one = || NewSession {
        max_per_user: 1,
        ..session_of("alice")
    };
    let first = store.create_session(ACME, one()).await?;
    let refused = store.create_session(ACME, one()).await;
    assert!(
        matches!(refused, Err(StoreError::SessionLimit { limit: 1 })),
        "{refused:?}"
    );
    assert!(store.end_session(ACME, "alice", first.id).await?);
    assert!(
        !store.end_session(ACME, "alice", first.id).await?,
        "it ends once"
    );
    store.create_session(ACME, one()).await?;
    Ok(())
}

/// `expires_at` is absolute.
pub async fn a_session_past_its_end_does_not_answer_or_count(store: AnyStore) -> Result<()> {
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    let dead = NewSession {
        expires_at: past,
        ..session_of("alice")
    };
    dead_sessions_are_gone(&store, dead).await
}

/// The idle timeout runs from the last use.
pub async fn a_session_left_idle_does_not_answer_or_count(store: AnyStore) -> Result<()> {
    let dead = NewSession {
        idle_timeout_seconds: 0,
        ..session_of("alice")
    };
    dead_sessions_are_gone(&store, dead).await
}

async fn dead_sessions_are_gone(store: &AnyStore, dead: NewSession) -> Result<()> {
    let one = |new: NewSession| NewSession {
        max_per_user: 1,
        ..new
    };
    let id = store.create_session(ACME, one(dead)).await?.id;
    assert_eq!(store.touch_session(ACME, "alice", id).await?, None);
    assert_eq!(
        store
            .set_session_metadata(ACME, "alice", id, &json!({}))
            .await?,
        None
    );
    assert_eq!(
        store.list_sessions(ACME, "alice", FIRST_PAGE).await?.items,
        []
    );
    assert!(!store.end_session(ACME, "alice", id).await?);
    store
        .create_session(ACME, one(session_of("alice")))
        .await
        .context("a dead session counts")?;
    Ok(())
}

/// A session in use lives on past its idle timeout, and dies when it is left.
pub async fn a_use_keeps_a_session_from_becoming_idle(store: AnyStore) -> Result<()> {
    let new = NewSession {
        idle_timeout_seconds: 2,
        ..session_of("alice")
    };
    let created = store.create_session(ACME, new).await?;
    eventually("a session in use outlives its idle timeout", || async {
        let session = store.touch_session(ACME, "alice", created.id).await?;
        let session = session.context("the session is in use and must not end")?;
        let age = session.last_used_at.duration_since(created.created_at);
        anyhow::ensure!(
            age > SignedDuration::from_secs(3),
            "used for {age:?} so far"
        );
        Ok(())
    })
    .await?;
    eventually("a session that is left ends", || async {
        let listed = store.list_sessions(ACME, "alice", FIRST_PAGE).await?.items;
        anyhow::ensure!(listed.is_empty(), "it is still listed");
        Ok(())
    })
    .await
}

/// Pages fit together without a gap or an overlap.
pub async fn sessions_are_listed_newest_first_in_pages(store: AnyStore) -> Result<()> {
    let mut created = Vec::new();
    for _ in 0..7 {
        created.push(store.create_session(ACME, session_of("alice")).await?.id);
    }
    store.create_session(ACME, session_of("bob")).await?;
    created.reverse();

    let (mut listed, mut after, mut sizes): (Vec<Uuid>, _, Vec<usize>) =
        (Vec::new(), None, Vec::new());
    loop {
        let page = store
            .list_sessions(ACME, "alice", Page { limit: 3, after })
            .await?;
        sizes.push(page.items.len());
        listed.extend(page.items.iter().map(|session| session.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((listed, sizes), (created, vec![3, 3, 1]));
    Ok(())
}

/// However often it is sent, and at the same time: one session, which reads back as it was.
pub async fn a_session_is_created_once_under_its_idempotency_key(store: AnyStore) -> Result<()> {
    let creates = (0..20).map(|_| {
        let store = store.clone();
        let once = IdempotencyKey {
            key: "k".to_owned(),
            fingerprint: [1; 32],
        };
        tokio::spawn(async move {
            store
                .create_session_once(ACME, session_of("alice"), &once)
                .await
        })
    });
    let (mut now, mut sessions) = (0, Vec::new());
    for result in join_all(creates).await {
        let created = result??;
        now += i32::from(matches!(created, Created::Now(_)));
        sessions.push(created.into_inner());
    }
    let listed = store.list_sessions(ACME, "alice", FIRST_PAGE).await?.items;
    assert_eq!((now, listed.len()), (1, 1));
    assert!(
        sessions.iter().all(|session| *session == listed[0]),
        "{sessions:?}"
    );
    Ok(())
}

/// Both databases refuse the same, and say so.
pub async fn a_text_with_a_nul_character_is_refused_as_such(store: AnyStore) -> Result<()> {
    let refused = store.create_session(ACME, session_of("al\0ice")).await;
    assert!(
        matches!(refused, Err(StoreError::NulCharacter)),
        "{refused:?}"
    );
    let refused = store.touch_session(ACME, "al\0ice", Uuid::now_v7()).await;
    assert!(
        matches!(refused, Err(StoreError::NulCharacter)),
        "{refused:?}"
    );
    Ok(())
}
