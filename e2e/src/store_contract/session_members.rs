//! Sessions that several users share, and what happened in them.

use agentapi_gateway::store::{Session, SessionMember, SessionRole, StoreError};
use anyhow::{Context, Result};
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::{ACME, AnyStore, FIRST_PAGE, GLOBEX, session_of};

fn member(user: &str, role: SessionRole) -> SessionMember {
    SessionMember {
        user: user.to_owned(),
        role,
    }
}

/// A session of alice's that bob works in and vera sees.
async fn shared(store: &AnyStore) -> Result<Session> {
    let session = store.create_session(ACME, session_of("alice")).await?;
    for member in [
        member("bob", SessionRole::Participant),
        member("vera", SessionRole::Viewer),
    ] {
        let put = store.put_session_member(ACME, "alice", session.id, &member);
        assert!(put.await?, "{member:?}");
    }
    Ok(session)
}

/// Each sees it as what they are.
pub async fn a_shared_session_shows_each_member_their_role(store: AnyStore) -> Result<()> {
    let id = shared(&store).await?.id;
    for (user, role) in [
        ("alice", SessionRole::Owner),
        ("bob", SessionRole::Participant),
        ("vera", SessionRole::Viewer),
    ] {
        let seen = store.touch_session(ACME, user, id).await?;
        let listed = store.list_sessions(ACME, user, FIRST_PAGE).await?.items;
        let roles = (seen.and_then(|session| session.role), listed.len());
        assert_eq!(roles, (Some(role), 1), "{user}");
        assert_eq!(listed[0].role, Some(role), "{user}'s list");
    }
    Ok(())
}

/// Nobody but the owner changes, shares or ends it.
pub async fn members_do_not_change_share_or_end_a_session(store: AnyStore) -> Result<()> {
    let id = shared(&store).await?.id;
    for user in ["bob", "vera", "mallory"] {
        let changed = store
            .set_session_metadata(ACME, user, id, &json!({"stolen": true}))
            .await?;
        assert_eq!(changed, None, "{user} changes it");
        let invited = member("mallory", SessionRole::Participant);
        let put = store.put_session_member(ACME, user, id, &invited).await?;
        assert!(!put, "{user} shares it");
        assert!(!store.end_session(ACME, user, id).await?, "{user} ends it");
    }
    assert_eq!(store.touch_session(ACME, "mallory", id).await?, None);
    Ok(())
}

/// Not to the same names of another tenant, and not to strangers.
pub async fn a_shared_session_is_nobody_elses_business(store: AnyStore) -> Result<()> {
    let id = shared(&store).await?.id;
    for (tenant, user) in [(ACME, "mallory"), (GLOBEX, "alice"), (GLOBEX, "bob")] {
        assert_eq!(store.touch_session(tenant, user, id).await?, None);
        assert_eq!(store.session_members(tenant, user, id).await?, None);
        assert_eq!(store.session_events(tenant, user, id, 0, 10).await?, None);
        let listed = store.list_sessions(tenant, user, FIRST_PAGE).await?.items;
        assert_eq!(listed, [], "{user} of {tenant:?}");
    }
    assert_eq!(store.inspect_session(GLOBEX, id).await?, None);
    assert!(!store.remove_session_member(GLOBEX, id, "bob").await?);
    let all = store.list_all_sessions(GLOBEX, FIRST_PAGE).await?.items;
    assert_eq!(all, []);
    Ok(())
}

/// Inspection shows the session as nobody's.
pub async fn whoever_inspects_sees_the_sessions_of_all_users(store: AnyStore) -> Result<()> {
    let session = shared(&store).await?;
    let one = store.inspect_session(ACME, session.id).await?;
    let one = one.context("the session is there")?;
    let expected = Session {
        role: None,
        last_used_at: one.last_used_at,
        ..session
    };
    assert_eq!(one, expected);
    let all = store.list_all_sessions(ACME, FIRST_PAGE).await?.items;
    assert_eq!(all, [expected]);
    Ok(())
}

/// A role changes by being set again, and ends by being taken.
pub async fn members_change_and_go(store: AnyStore) -> Result<()> {
    let id = shared(&store).await?.id;
    let promoted = member("vera", SessionRole::Participant);
    assert!(
        store
            .put_session_member(ACME, "alice", id, &promoted)
            .await?
    );
    assert!(store.remove_session_member(ACME, id, "bob").await?);
    assert!(
        !store.remove_session_member(ACME, id, "bob").await?,
        "he goes once"
    );
    let members = store.session_members(ACME, "alice", id).await?;
    assert_eq!(members, Some(vec![promoted]));
    assert_eq!(store.touch_session(ACME, "bob", id).await?, None);
    let listed = store.list_sessions(ACME, "bob", FIRST_PAGE).await?.items;
    assert_eq!(listed, []);
    Ok(())
}

/// A hundred, also when more come at the same time.
pub async fn the_number_of_members_is_bounded(store: AnyStore) -> Result<()> {
    let id = store.create_session(ACME, session_of("alice")).await?.id;
    let puts = (0..110).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let member = member(&format!("user-{number}"), SessionRole::Viewer);
            store.put_session_member(ACME, "alice", id, &member).await
        })
    });
    let mut refused = 0;
    for put in join_all(puts).await {
        match put? {
            Ok(put) => assert!(put),
            Err(StoreError::MemberLimit { limit }) => {
                assert_eq!(limit, 100);
                refused += 1;
            }
            Err(error) => return Err(error).context("another reason than the limit"),
        }
    }
    let members = store.session_members(ACME, "alice", id).await?;
    assert_eq!(
        (members.map(|members| members.len()), refused),
        (Some(100), 10)
    );
    Ok(())
}

/// In order, without gaps, also when they happen at the same time; each only once.
pub async fn the_events_of_a_session_have_one_order(store: AnyStore) -> Result<()> {
    let id = shared(&store).await?.id;
    let changes = (0..20).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let metadata = json!({ "number": number });
            store
                .set_session_metadata(ACME, "alice", id, &metadata)
                .await
        })
    });
    for change in join_all(changes).await {
        assert!(change??.is_some());
    }
    let events = store.session_events(ACME, "vera", id, 0, 100).await?;
    let events = events.context("vera sees the session")?;
    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=23).collect::<Vec<u64>>());
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds[..4],
        [
            "session.created",
            "member.set",
            "member.set",
            "session.updated"
        ]
    );
    let rest = store.session_events(ACME, "vera", id, 21, 1).await?;
    assert_eq!(
        rest,
        Some(vec![events[21].clone()]),
        "it goes on where it is asked to"
    );
    Ok(())
}

/// What has ended is removed by whoever sweeps, and nothing else.
pub async fn the_sweeper_removes_what_has_ended_of_all_tenants(store: AnyStore) -> Result<()> {
    let mut ended = session_of("alice");
    ended.idle_timeout_seconds = 0;
    let mut expired = session_of("bob");
    expired.expires_at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60);
    store.create_session(ACME, ended).await?;
    store.create_session(GLOBEX, expired).await?;
    let live = store.create_session(ACME, session_of("carol")).await?;
    let sweeps = join_all((0..4).map(|_| store.sweep())).await;
    let mut removed = 0;
    for sweep in sweeps {
        removed += sweep?;
    }
    removed += store.sweep().await?;
    assert_eq!(removed, 2);
    assert_eq!(store.sweep().await?, 0, "nothing is left");
    assert_eq!(
        store.touch_session(ACME, "carol", live.id).await?,
        Some(live)
    );
    Ok(())
}

/// An unknown session has no events, members or place for some.
pub async fn an_unknown_session_is_shared_with_nobody(store: AnyStore) -> Result<()> {
    let unknown = Uuid::now_v7();
    let bob = member("bob", SessionRole::Viewer);
    assert!(
        !store
            .put_session_member(ACME, "alice", unknown, &bob)
            .await?
    );
    assert!(!store.remove_session_member(ACME, unknown, "bob").await?);
    assert_eq!(store.session_members(ACME, "alice", unknown).await?, None);
    Ok(())
}
