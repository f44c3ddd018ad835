//! Connections with upstream servers: whose they are, the lease on refreshing them, their end.

use agentapi_gateway::encryption::Sealed;
use agentapi_gateway::store::{
    BrowserSession, Connection, ConnectionState, NewConnection, PendingAuthorization, SealedTokens,
};
use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use uuid::Uuid;

use super::{ACME, AnyStore, GLOBEX};

const SERVER: &str = "notes";

/// The shape of a sealed value; the store does not open it.
fn sealed(content: u8) -> Result<SealedTokens> {
    let header = [1, 4].into_iter().chain(*b"test");
    let bytes = header.chain([content; 12 + 5 + 16]).collect();
    Ok(SealedTokens {
        tokens: Sealed::from_bytes(bytes)?,
        lifetime_seconds: Some(3600),
        refreshable: true,
    })
}

fn connection_of(holder: Option<&str>) -> Result<NewConnection> {
    Ok(NewConnection {
        id: Uuid::now_v7(),
        server: SERVER.to_owned(),
        holder: holder.map(str::to_owned),
        connected_by: holder.unwrap_or("root").to_owned(),
        issuer: "https://id.example.com".to_owned(),
        binding: [7; 32],
        scopes: vec!["read".to_owned()],
        tokens: sealed(1)?,
    })
}

async fn connected(store: &AnyStore, holder: Option<&str>) -> Result<Connection> {
    store.connect(ACME, &connection_of(holder)?).await?;
    found(store, holder).await
}

async fn found(store: &AnyStore, holder: Option<&str>) -> Result<Connection> {
    let found = store.connection(ACME, SERVER, holder).await?;
    found.context("the connection is not there")
}

/// A user's is not another's, not the organization's, and not another tenant's.
pub async fn a_connection_is_its_holders_alone(store: AnyStore) -> Result<()> {
    let made = connection_of(Some("alice"))?;
    store.connect(ACME, &made).await?;
    let found = found(&store, Some("alice")).await?;
    assert_eq!(
        (found.id, &found.tokens, found.version),
        (made.id, &made.tokens.tokens, 1)
    );
    assert_eq!(found.state, ConnectionState::Connected);
    for (tenant, holder) in [(ACME, Some("bob")), (ACME, None), (GLOBEX, Some("alice"))] {
        let other = store.connection(tenant, SERVER, holder).await?;
        ensure!(other.is_none(), "{holder:?} of {tenant:?} has {other:?}");
    }
    Ok(())
}

/// A new consent takes the place of the old one.
pub async fn a_new_connection_takes_the_place_of_the_old_one(store: AnyStore) -> Result<()> {
    let first = connected(&store, Some("alice")).await?;
    let second = connected(&store, Some("alice")).await?;
    assert_ne!(first.id, second.id);
    assert_eq!(store.connections(ACME, "alice").await?.len(), 1);
    Ok(())
}

/// Of all who ask at once, one gets the lease.
pub async fn one_of_many_gets_the_lease_on_a_refresh(store: AnyStore) -> Result<()> {
    let connection = connected(&store, Some("alice")).await?;
    let leases = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.lease_refresh(ACME, connection.id, 1, false).await })
    });
    let mut taken = 0;
    for lease in join_all(leases).await {
        taken += usize::from(lease??.is_some());
    }
    assert_eq!(taken, 1);
    Ok(())
}

/// The new tokens are there, and nobody refreshes the old ones.
pub async fn a_refresh_makes_a_new_version(store: AnyStore) -> Result<()> {
    let connection = connected(&store, Some("alice")).await?;
    let lease = store.lease_refresh(ACME, connection.id, 1, false).await?;
    let lease = lease.context("nobody else has the lease")?;
    ensure!(store.note_sent(ACME, lease).await?, "the lease is lost");
    let tokens = sealed(2)?;
    ensure!(
        store.finish_refresh(ACME, lease, &tokens, None).await?,
        "the tokens are not kept"
    );
    let refreshed = found(&store, Some("alice")).await?;
    assert_eq!(
        (&refreshed.tokens, refreshed.version, refreshed.sent),
        (&tokens.tokens, 2, false)
    );
    assert_eq!(
        store.lease_refresh(ACME, connection.id, 1, false).await?,
        None
    );
    Ok(())
}

/// A refresh token that may have been used is leased to those only who may use it again.
pub async fn a_refresh_token_that_was_sent_is_not_leased_again(store: AnyStore) -> Result<()> {
    let connection = connected(&store, Some("alice")).await?;
    let lease = store.lease_refresh(ACME, connection.id, 1, false).await?;
    let lease = lease.context("nobody else has the lease")?;
    store.note_sent(ACME, lease).await?;
    assert_eq!(
        store.lease_refresh(ACME, connection.id, 1, true).await?,
        None,
        "it is held"
    );
    store.give_up_refresh(ACME, lease).await?;
    let again = store.lease_refresh(ACME, connection.id, 1, false).await?;
    let again = again.context("it was given up unused")?;
    ensure!(
        !store.finish_refresh(ACME, lease, &sealed(2)?, None).await?,
        "an old lease wrote"
    );
    ensure!(
        store.finish_refresh(ACME, again, &sealed(3)?, None).await?,
        "the lease is lost"
    );
    Ok(())
}

/// Only consent helps, and it does.
pub async fn a_connection_that_asks_for_consent_is_made_anew(store: AnyStore) -> Result<()> {
    let connection = connected(&store, Some("alice")).await?;
    let (id, epoch) = (connection.id, connection.lease_epoch);
    ensure!(
        !store.require_reconnect(ACME, id, 2, epoch).await?,
        "of another version"
    );
    ensure!(
        !store.require_reconnect(GLOBEX, id, 1, epoch).await?,
        "of another tenant"
    );
    ensure!(
        store.require_reconnect(ACME, id, 1, epoch).await?,
        "it is not noted"
    );
    assert_eq!(
        found(&store, Some("alice")).await?.state,
        ConnectionState::Reconnect
    );
    assert_eq!(
        connected(&store, Some("alice")).await?.state,
        ConnectionState::Connected
    );
    Ok(())
}

/// It is used no longer, and one worker at a time revokes it.
pub async fn a_disconnected_connection_waits_for_its_revocation(store: AnyStore) -> Result<()> {
    let connection = connected(&store, Some("alice")).await?;
    ensure!(
        store.disconnect(ACME, SERVER, Some("alice")).await?,
        "there was one"
    );
    ensure!(
        !store.disconnect(ACME, SERVER, Some("alice")).await?,
        "there is none any more"
    );
    assert_eq!(store.connection(ACME, SERVER, Some("alice")).await?, None);
    let id = connection.id;
    assert_eq!(store.due_revocations().await?, [(ACME, id)]);
    let taken = store.take_revocation(ACME, id, 60).await?;
    assert_eq!(taken.map(|taken| taken.attempts), Some(1));
    assert_eq!(
        store.take_revocation(ACME, id, 60).await?,
        None,
        "somebody has it"
    );
    store.postpone_revocation(ACME, id, 0).await?;
    ensure!(
        store.take_revocation(ACME, id, 60).await?.is_some(),
        "it is due again"
    );
    store.finish_revocation(ACME, id, 1).await?;
    assert_eq!(store.connections(ACME, "alice").await?, []);
    Ok(())
}

/// What cannot be revoked stays to be seen.
pub async fn a_connection_that_is_not_revoked_stays_to_be_seen(store: AnyStore) -> Result<()> {
    let connection = connected(&store, Some("alice")).await?;
    store.disconnect(ACME, SERVER, Some("alice")).await?;
    store.abandon_revocation(ACME, connection.id).await?;
    assert_eq!(store.due_revocations().await?, []);
    let left = store.connections(ACME, "alice").await?;
    assert_eq!(left[0].state, ConnectionState::Unrevoked);
    Ok(())
}

/// What a refresh brought after the end is revoked as well.
pub async fn tokens_of_a_connection_that_ended_meanwhile_are_revoked(
    store: AnyStore,
) -> Result<()> {
    let connection = connected(&store, Some("alice")).await?;
    let lease = store.lease_refresh(ACME, connection.id, 1, false).await?;
    let lease = lease.context("nobody else has the lease")?;
    store.disconnect(ACME, SERVER, Some("alice")).await?;
    assert_eq!(
        store.due_revocations().await?,
        [],
        "not while it is refreshed"
    );
    ensure!(
        store.finish_refresh(ACME, lease, &sealed(2)?, None).await?,
        "they are not kept"
    );
    let taken = store.take_revocation(ACME, connection.id, 60).await?;
    assert_eq!(
        taken.map(|taken| (taken.tokens, taken.version)),
        Some((sealed(2)?.tokens, 2))
    );
    store.finish_revocation(ACME, connection.id, 1).await?;
    assert_eq!(
        store.connections(ACME, "alice").await?.len(),
        1,
        "other tokens were revoked"
    );
    Ok(())
}

/// Everything of the user ends, and nothing of others.
pub async fn an_offboarded_user_leaves_nothing(store: AnyStore) -> Result<()> {
    connected(&store, Some("alice")).await?;
    connected(&store, Some("bob")).await?;
    connected(&store, None).await?;
    store
        .create_session(ACME, super::session_of("alice"))
        .await?;
    store
        .create_browser_session(ACME, &browser_of("alice"))
        .await?;
    let ended = store.offboard(ACME, "alice").await?;
    assert_eq!((ended.connections, ended.sessions), (1, 1));
    assert_eq!(store.connection(ACME, SERVER, Some("alice")).await?, None);
    found(&store, Some("bob")).await?;
    found(&store, None).await?;
    Ok(())
}

/// With its organization, a connection ends and waits for its revocation.
pub async fn a_retired_tenants_connections_are_revoked(store: AnyStore) -> Result<()> {
    let connection = connected(&store, None).await?;
    store.retire(ACME).await?;
    assert_eq!(store.connection(ACME, SERVER, None).await?, None);
    assert_eq!(store.due_revocations().await?, [(ACME, connection.id)]);
    Ok(())
}

fn browser_of(user: &str) -> BrowserSession {
    BrowserSession {
        id: Uuid::new_v4(),
        user: user.to_owned(),
        secret_hash: [3; 32],
        administers: false,
        lifetime_seconds: 60,
    }
}

fn pending_of(browser: &BrowserSession, lifetime_seconds: u32) -> PendingAuthorization {
    PendingAuthorization {
        id: Uuid::new_v4(),
        browser_session: browser.id,
        server: SERVER.to_owned(),
        holder: Some(browser.user.clone()),
        secret_hash: [4; 32],
        issuer: "https://id.example.com".to_owned(),
        binding: [7; 32],
        lifetime_seconds,
    }
}

/// Whoever comes back first takes it; in another tenant there is nothing to take.
pub async fn a_pending_authorization_is_taken_once(store: AnyStore) -> Result<()> {
    let browser = browser_of("alice");
    store.create_browser_session(ACME, &browser).await?;
    let pending = pending_of(&browser, 60);
    store.begin_authorization(ACME, &pending).await?;
    assert_eq!(store.take_authorization(GLOBEX, pending.id).await?, None);
    let takes = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.take_authorization(ACME, pending.id).await })
    });
    let mut taken = 0;
    for take in join_all(takes).await {
        taken += usize::from(take??.is_some());
    }
    assert_eq!(taken, 1);
    Ok(())
}

/// What took too long is gone, and removed.
pub async fn a_pending_authorization_ends(store: AnyStore) -> Result<()> {
    let browser = browser_of("alice");
    store.create_browser_session(ACME, &browser).await?;
    let pending = pending_of(&browser, 0);
    store.begin_authorization(ACME, &pending).await?;
    assert_eq!(store.take_authorization(ACME, pending.id).await?, None);
    assert_eq!(store.sweep().await?, 1);
    Ok(())
}

/// A connection that nothing else knows of is found by the job that revokes, and removed.
pub async fn revoke_a_new_connection(store: AnyStore) -> Result<()> {
    let connection = connected(&store, Some("leaver")).await?;
    store.disconnect(ACME, SERVER, Some("leaver")).await?;
    let due = store.due_revocations().await?;
    ensure!(
        due.contains(&(ACME, connection.id)),
        "it is not due: {due:?}"
    );
    let taken = store.take_revocation(ACME, connection.id, 60).await?;
    ensure!(taken.is_some(), "it cannot be taken");
    store
        .finish_revocation(ACME, connection.id, 1)
        .await
        .map_err(Into::into)
}

/// One row of each table, for tests of what the database lets through.
pub async fn a_connection_and_the_way_to_one(store: AnyStore) -> Result<()> {
    let browser = browser_of("alice");
    store.create_browser_session(ACME, &browser).await?;
    store
        .begin_authorization(ACME, &pending_of(&browser, 600))
        .await?;
    connected(&store, Some("alice")).await?;
    Ok(())
}
