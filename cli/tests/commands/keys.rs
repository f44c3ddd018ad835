//! `agentapi keys`, as somebody types it who rotates keys.

use std::path::Path;
use std::process::Output;

use agentapi_e2e::client::Client;
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::json;

use super::support::{Person, folder};

const FIRST: &str = "first:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// A file with keys.
struct KeysFile(tempfile::NamedTempFile);

impl KeysFile {
    fn new(keys: &str) -> Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(&file, keys)?;
        Ok(Self(file))
    }

    async fn keys(&self, person: &Person, arguments: &[&str]) -> Result<Output> {
        let path = self.0.path().to_str().context("the path is not UTF-8")?;
        let arguments = [&["keys"], arguments, &["--keys-file", path]].concat();
        person.run(&arguments).await
    }

    /// Takes the step that the arguments say, and keeps what it prints.
    async fn rotate(&self, person: &Person, arguments: &[&str]) -> Result<String> {
        let output = self
            .keys(person, &[&["rotate"], arguments].concat())
            .await?;
        ensure!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout)?;
        std::fs::write(&self.0, &printed)?;
        Ok(printed)
    }
}

fn ids(keys: &str) -> Vec<&str> {
    let words = keys.trim().split(',');
    words.filter_map(|word| word.split(':').next()).collect()
}

#[tokio::test]
async fn a_rotation_adds_activates_and_removes() -> Result<()> {
    let person = Person::new()?;
    let file = KeysFile::new(FIRST)?;
    let added = file.rotate(&person, &[]).await?;
    let new = ids(&added)[1].to_owned();
    assert_eq!(ids(&added), ["first", &new]);
    let activated = file.rotate(&person, &["--activate"]).await?;
    assert_eq!(ids(&activated), [&new, "first"]);
    let removed = file.rotate(&person, &["--remove", "first"]).await?;
    assert_eq!(ids(&removed), [&new]);
    Ok(())
}

#[tokio::test]
async fn the_first_key_is_made_from_nothing() -> Result<()> {
    let made = KeysFile::new("")?.rotate(&Person::new()?, &[]).await?;
    assert_eq!(ids(&made).len(), 1, "{made}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_done_ends_with_the_next_command_and_without_a_key() -> Result<()> {
    let person = Person::new()?;
    let file = KeysFile::new(FIRST)?;
    for arguments in [
        &["rotate", "--activate"][..],
        &["rotate", "--remove", "first"],
        &["rotate", "--remove", "other"],
        &["rewrap", "--url", "sqlite:/nowhere/agentapi.db"],
    ] {
        let output = file.keys(&person, arguments).await?;
        let told = String::from_utf8(output.stderr)?;
        ensure!(!output.status.success(), "{arguments:?} succeeds");
        let last = told.lines().last().unwrap_or_default();
        ensure!(last.starts_with("try: "), "{arguments:?}: {told}");
        ensure!(
            !told.contains("MDEyMzQ1"),
            "{arguments:?} shows a key: {told}"
        );
    }
    Ok(())
}

/// The embedded mode's own key, database and credential.
#[tokio::test]
async fn what_the_embedded_mode_has_stored_is_encrypted_anew() -> Result<()> {
    let person = Person::new()?;
    let organization = "apiVersion: agentapi.dev/v1alpha1\nkind: Organization\n\
         metadata: {name: acme}\nspec: {userServers: true}\n";
    let (manifests, data) = (
        folder(&[("acme.yaml", organization)])?,
        tempfile::tempdir()?,
    );
    let path = data.path().to_str().context("the folder is not UTF-8")?;
    let token = format!("Bearer {}", person.token("acme", "alice").await?);
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    let dev = person.dev(manifests.path(), &["--data", path]).await?;
    let body = json!({ "name": "notes", "url": "https://notes.example/mcp", "auth": { "bearer": "hunter2" } });
    let made = Client::new(&dev.address)
        .send(Method::POST, "/v1/mcp/servers", &headers, body.to_string())
        .await?;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    dev.stop().await?;

    let database = data.path().join("agentapi.db");
    ensure!(
        !holds(&database, b"hunter2")?,
        "the credential is in the database as it was given"
    );
    let keys = std::fs::read_to_string(person.state("agentapi/development-encryption.key"))?;
    let file = KeysFile::new(&keys)?;
    file.rotate(&person, &[]).await?;
    file.rotate(&person, &["--activate"]).await?;
    let url = format!("sqlite:{}", database.display());
    let rewrap = ["rewrap", "--url", &url];
    let output = file.keys(&person, &rewrap).await?;
    let told = String::from_utf8(output.stdout)?;
    assert!(told.starts_with("1 values are sealed with "), "{told}");
    let again = String::from_utf8(file.keys(&person, &rewrap).await?.stdout)?;
    assert!(again.starts_with("0 values are sealed with "), "{again}");

    // The key that sealed it is not needed any more; the one that was made is.
    let refused = person.dev(manifests.path(), &["--data", path]).await;
    let refused = refused
        .err()
        .context("the old key alone was enough")?
        .to_string();
    assert!(refused.contains("AGENTAPI_ENCRYPTION_KEYS"), "{refused}");
    Ok(())
}

fn holds(path: &Path, bytes: &[u8]) -> Result<bool> {
    let content = std::fs::read(path)?;
    Ok(content.windows(bytes.len()).any(|window| window == bytes))
}
