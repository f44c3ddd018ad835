//! Users' own MCP servers.

use agentapi_crds::tenant_config::ToolsConfig;
use agentapi_gateway::domain::user_servers::{CredentialShape, Settings};
use agentapi_gateway::encryption::{EncryptionKeys, Location, SealedColumn};
use agentapi_gateway::store::{
    Created, CredentialsChange, IdempotencyKey, McpConfig, SealedMcpConfig, StoreError, TenantId,
};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::{ACME, AnyStore, GLOBEX};

const MOST: u32 = 10;

/// Keys of these names as they are configured. Each name is one key, whatever ring it is in.
pub fn key_text(ids: &[&str]) -> String {
    let key = |id: &&str| {
        let byte = id
            .bytes()
            .fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        format!("{id}:{}", STANDARD.encode([byte; 32]))
    };
    ids.iter().map(key).collect::<Vec<_>>().join(",")
}

/// A ring of keys of these names, the first of which encrypts.
pub fn keys(ids: &[&str]) -> Result<EncryptionKeys> {
    EncryptionKeys::parse(&key_text(ids).into())?.context("there are keys")
}

/// A server of a user with a credential that a key has sealed for it.
pub fn mcp_config(
    tenant: TenantId,
    user: &str,
    name: &str,
    keys: &EncryptionKeys,
) -> Result<SealedMcpConfig> {
    let id = Uuid::now_v7();
    // Kept to the microsecond; a whole second reads back as it is.
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let location = Location {
        tenant,
        column: SealedColumn::McpCredentials,
        row: id,
    };
    Ok(SealedMcpConfig {
        config: McpConfig {
            id,
            user: user.to_owned(),
            name: name.to_owned(),
            settings: settings("https://notes.example/mcp", CredentialShape::Bearer)?,
            version: 1,
            created_at: now,
            updated_at: now,
        },
        credentials: Some(keys.seal(&location, &r#"{"authorization":"hunter2"}"#.into())?),
    })
}

fn settings(url: &str, shape: CredentialShape) -> Result<Settings> {
    Ok(Settings::check(
        url.to_owned(),
        shape,
        ToolsConfig::default(),
    )?)
}

fn server(user: &str, name: &str) -> Result<SealedMcpConfig> {
    mcp_config(ACME, user, name, &keys(&["first"])?)
}

/// What is written is what is read.
pub async fn an_mcp_configuration_reads_back_as_it_was_made(store: AnyStore) -> Result<()> {
    let new = server("alice", "notes")?;
    let id = new.config.id;
    store
        .create_mcp_config(ACME, new.clone(), MOST, None)
        .await?;
    assert_eq!(
        store.mcp_config(ACME, "alice", id).await?,
        Some(new.clone())
    );
    let mut bare = server("alice", "bare")?;
    bare.credentials = None;
    store
        .create_mcp_config(ACME, bare.clone(), MOST, None)
        .await?;
    assert_eq!(store.mcp_configs(ACME, "alice").await?, [bare, new]);
    Ok(())
}

/// Nobody else finds it, changes it or removes it.
pub async fn an_mcp_configuration_is_another_users_and_another_tenants_no_business(
    store: AnyStore,
) -> Result<()> {
    let new = server("alice", "notes")?;
    let (id, settings) = (new.config.id, new.config.settings.clone());
    store
        .create_mcp_config(ACME, new.clone(), MOST, None)
        .await?;
    for (tenant, user) in [(ACME, "bob"), (GLOBEX, "alice")] {
        assert_eq!(
            store.mcp_config(tenant, user, id).await?,
            None,
            "{user} of {tenant:?}"
        );
        assert_eq!(
            store.mcp_configs(tenant, user).await?,
            [],
            "{user} of {tenant:?}"
        );
        let changed = store
            .change_mcp_config(tenant, user, id, 1, &settings, &CredentialsChange::Keep)
            .await?;
        assert_eq!(changed, None, "{user} of {tenant:?} changes it");
        let removed = store.remove_mcp_config(tenant, user, id).await?;
        assert!(!removed, "{user} of {tenant:?} removes it");
    }
    assert_eq!(store.mcp_config(ACME, "alice", id).await?, Some(new));
    Ok(())
}

/// Whoever has read an older version changes nothing.
pub async fn an_mcp_configuration_changes_from_the_version_that_was_read(
    store: AnyStore,
) -> Result<()> {
    let new = server("alice", "notes")?;
    let id = new.config.id;
    store
        .create_mcp_config(ACME, new.clone(), MOST, None)
        .await?;
    let other = settings("https://notes.example/two", CredentialShape::Bearer)?;
    let change = async |version, credentials| {
        store
            .change_mcp_config(ACME, "alice", id, version, &other, &credentials)
            .await
    };
    let changed = change(1, CredentialsChange::Keep)
        .await?
        .context("it has version 1")?;
    assert_eq!((changed.version, &changed.settings), (2, &other));
    assert_eq!(change(1, CredentialsChange::Replace(None)).await?, None);
    let kept = store
        .mcp_config(ACME, "alice", id)
        .await?
        .context("it is there")?;
    assert_eq!(kept.credentials, new.credentials, "they were to stay");
    change(2, CredentialsChange::Replace(None))
        .await?
        .context("it has version 2")?;
    let bare = store
        .mcp_config(ACME, "alice", id)
        .await?
        .context("it is there")?;
    assert_eq!(bare.credentials, None);
    Ok(())
}

/// A removed server is gone, once, and its name is free.
pub async fn a_removed_mcp_configuration_frees_its_name(store: AnyStore) -> Result<()> {
    let new = server("alice", "notes")?;
    let id = new.config.id;
    store
        .create_mcp_config(ACME, new.clone(), MOST, None)
        .await?;
    assert!(store.remove_mcp_config(ACME, "alice", id).await?);
    assert!(
        !store.remove_mcp_config(ACME, "alice", id).await?,
        "it ends once"
    );
    let again = server("alice", "notes")?;
    store.create_mcp_config(ACME, again, MOST, None).await?;
    Ok(())
}

/// Twenty of one name at once, and twenty names at once: one, and ten.
pub async fn names_and_number_of_mcp_configurations_hold_under_concurrent_creates(
    store: AnyStore,
) -> Result<()> {
    let create = async |user: &'static str, name: String| {
        let new = server(user, &name)?;
        let store = store.clone();
        anyhow::Ok(tokio::spawn(async move {
            store.create_mcp_config(ACME, new, MOST, None).await
        }))
    };
    let (mut alike, mut many) = (Vec::new(), Vec::new());
    for number in 0..20 {
        alike.push(create("alice", "notes".to_owned()).await?);
        many.push(create("bob", format!("s{number}")).await?);
    }
    let (mut first, mut made) = (0, 0);
    for result in join_all(alike).await {
        match result? {
            Ok(_) => first += 1,
            Err(StoreError::McpServerNameTaken) => {}
            Err(error) => return Err(error).context("another reason than the name"),
        }
    }
    for result in join_all(many).await {
        match result? {
            Ok(_) => made += 1,
            Err(StoreError::McpServerLimit { limit }) => assert_eq!(limit, MOST),
            Err(error) => return Err(error).context("another reason than the limit"),
        }
    }
    assert_eq!((first, made), (1, MOST));
    Ok(())
}

/// However often it is sent: one server, and no secret in what is remembered.
pub async fn an_mcp_configuration_is_made_once_under_its_idempotency_key(
    store: AnyStore,
) -> Result<()> {
    let once = IdempotencyKey {
        key: "k".to_owned(),
        fingerprint: [1; 32],
    };
    let new = server("alice", "notes")?;
    let first = store
        .create_mcp_config(ACME, new.clone(), MOST, Some(&once))
        .await?;
    assert_eq!(first, Created::Now(new.config.clone()));
    let other = server("alice", "other")?;
    let again = store
        .create_mcp_config(ACME, other, MOST, Some(&once))
        .await?;
    assert_eq!(again, Created::Before(new.config));
    Ok(())
}
