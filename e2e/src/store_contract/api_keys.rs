//! API keys.

use agentapi_gateway::store::{ApiKey, Created, HashedApiKey, IdempotencyKey, Page, StoreError};
use anyhow::{Context, Result};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{ACME, AnyStore, FIRST_PAGE, GLOBEX, in_an_hour};

const MOST: u32 = 10;

fn key_of(user: &str) -> HashedApiKey {
    // Kept to the microsecond; a whole second reads back as it is.
    let seconds = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or_default();
    HashedApiKey {
        key: ApiKey {
            id: Uuid::now_v7(),
            user: user.to_owned(),
            name: "ci".to_owned(),
            roles: vec!["admin".to_owned()],
            scopes: vec!["mcp".to_owned()],
            created_at: seconds(Timestamp::now()),
            expires_at: seconds(in_an_hour()),
        },
        hash: [7; 32],
    }
}

fn once(key: &str, body: u8) -> IdempotencyKey {
    IdempotencyKey {
        key: key.to_owned(),
        fingerprint: [body; 32],
    }
}

/// What is written is what is read.
pub async fn an_api_key_reads_back_as_it_was_made(store: AnyStore) -> Result<()> {
    let new = key_of("alice");
    store.create_api_key(ACME, new.clone(), MOST, None).await?;
    assert_eq!(store.api_key(ACME, new.key.id).await?, Some(new.clone()));
    let listed = store.list_api_keys(ACME, Some("alice"), FIRST_PAGE).await?;
    assert_eq!(listed.items, [new.key]);
    Ok(())
}

/// Nobody else's list has it, and nobody else's revocation ends it.
pub async fn an_api_key_is_another_users_and_another_tenants_no_business(
    store: AnyStore,
) -> Result<()> {
    let new = key_of("alice");
    store.create_api_key(ACME, new.clone(), MOST, None).await?;
    assert_eq!(store.api_key(GLOBEX, new.key.id).await?, None);
    for (tenant, user) in [(ACME, Some("bob")), (GLOBEX, Some("alice")), (GLOBEX, None)] {
        let listed = store.list_api_keys(tenant, user, FIRST_PAGE).await?.items;
        assert_eq!(listed, [], "{user:?} of {tenant:?} lists it");
        let revoked = store.revoke_api_key(tenant, user, new.key.id).await?;
        assert!(!revoked, "{user:?} of {tenant:?} revokes it");
    }
    assert!(store.api_key(ACME, new.key.id).await?.is_some());
    Ok(())
}

/// Whoever may, sees and revokes the keys of all users.
pub async fn api_keys_of_all_users_are_listed_newest_first_in_pages(store: AnyStore) -> Result<()> {
    let mut made = Vec::new();
    for user in ["alice", "bob", "alice"] {
        let new = key_of(user);
        made.push(new.key.id);
        store.create_api_key(ACME, new, MOST, None).await?;
    }
    made.reverse();
    let page = |after| Page { limit: 2, after };
    let first = store.list_api_keys(ACME, None, page(None)).await?;
    let second = store.list_api_keys(ACME, None, page(first.next)).await?;
    let listed: Vec<_> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|key| key.id)
        .collect();
    assert_eq!((listed, second.next), (made.clone(), None));
    assert!(store.revoke_api_key(ACME, None, made[1]).await?);
    Ok(())
}

/// A revoked key is gone, once.
pub async fn a_revoked_api_key_does_not_answer(store: AnyStore) -> Result<()> {
    let new = key_of("alice");
    store.create_api_key(ACME, new.clone(), MOST, None).await?;
    assert!(
        store
            .revoke_api_key(ACME, Some("alice"), new.key.id)
            .await?
    );
    assert_eq!(store.api_key(ACME, new.key.id).await?, None);
    let again = store
        .revoke_api_key(ACME, Some("alice"), new.key.id)
        .await?;
    assert!(!again, "it ends once");
    Ok(())
}

/// A key past its end answers to nobody and takes no place.
pub async fn an_api_key_past_its_end_does_not_answer_or_count(store: AnyStore) -> Result<()> {
    let mut dead = key_of("alice");
    dead.key.expires_at = Timestamp::now() - SignedDuration::from_secs(1);
    let id = dead.key.id;
    store.create_api_key(ACME, dead, 1, None).await?;
    assert_eq!(store.api_key(ACME, id).await?, None);
    assert!(!store.revoke_api_key(ACME, None, id).await?);
    assert_eq!(store.list_api_keys(ACME, None, FIRST_PAGE).await?.items, []);
    store
        .create_api_key(ACME, key_of("alice"), 1, None)
        .await
        .context("a dead key counts")?;
    Ok(())
}

/// Twenty at once, ten allowed: exactly ten come to be.
pub async fn the_limit_of_api_keys_holds_under_concurrent_creates(store: AnyStore) -> Result<()> {
    let creates = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .create_api_key(ACME, key_of("alice"), MOST, None)
                .await
        })
    });
    let mut made = 0;
    for result in join_all(creates).await {
        match result? {
            Ok(_) => made += 1,
            Err(StoreError::ApiKeyLimit { limit }) => assert_eq!(limit, MOST),
            Err(error) => return Err(error).context("another reason than the limit"),
        }
    }
    assert_eq!(made, MOST);
    Ok(())
}

/// However often it is sent, and at the same time: one key.
pub async fn an_api_key_is_made_once_under_its_idempotency_key(store: AnyStore) -> Result<()> {
    let creates = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .create_api_key(ACME, key_of("alice"), MOST, Some(&once("k", 1)))
                .await
        })
    });
    let (mut now, mut ids) = (0, Vec::new());
    for result in join_all(creates).await {
        let created = result??;
        now += i32::from(matches!(created, Created::Now(_)));
        ids.push(created.into_inner().id);
    }
    ids.dedup();
    assert_eq!((now, ids.len()), (1, 1), "{ids:?}");
    Ok(())
}

/// The same key for another body is an error, and for somebody else it is another key.
pub async fn an_idempotency_key_is_for_one_body_user_and_tenant(store: AnyStore) -> Result<()> {
    store
        .create_api_key(ACME, key_of("alice"), MOST, Some(&once("k", 1)))
        .await?;
    let reused = store
        .create_api_key(ACME, key_of("alice"), MOST, Some(&once("k", 2)))
        .await;
    assert!(
        matches!(reused, Err(StoreError::IdempotencyKeyReused)),
        "{reused:?}"
    );
    for (tenant, user) in [(ACME, "bob"), (GLOBEX, "alice")] {
        let other = store
            .create_api_key(tenant, key_of(user), MOST, Some(&once("k", 2)))
            .await?;
        assert!(
            matches!(other, Created::Now(_)),
            "{user} of {tenant:?} gets {other:?}"
        );
    }
    Ok(())
}
