//! `agentapi render` and `agentapi token`: what scripts hold on to.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::{Person, folder, samples};

async fn rendered() -> Result<String> {
    let samples = samples().to_str().context("the folder is not UTF-8")?;
    let output = Person::new()?
        .run(&["render", "--manifests", samples])
        .await?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn the_samples_render_to_the_reviewed_objects() -> Result<()> {
    insta::assert_snapshot!(rendered().await?);
    Ok(())
}

#[tokio::test]
async fn the_same_manifests_render_to_the_same_bytes() -> Result<()> {
    assert_eq!(rendered().await?, rendered().await?);
    Ok(())
}

#[tokio::test]
async fn no_value_of_a_secret_is_rendered() -> Result<()> {
    assert!(!rendered().await?.contains("development-only-clock-token"));
    Ok(())
}

#[tokio::test]
async fn what_is_not_served_is_told_with_its_place_and_the_rest_is_rendered() -> Result<()> {
    let stray = "apiVersion: agentapi.dev/v1alpha1\nkind: PromptPolicy\nmetadata: {name: lost, namespace: nowhere}\nspec: {template: x}\n";
    let manifests = folder(&[("lost.yaml", stray)])?;
    let path = manifests
        .path()
        .to_str()
        .context("the folder is not UTF-8")?;
    let output = Person::new()?.run(&["render", "--manifests", path]).await?;
    let told = String::from_utf8(output.stderr)?;
    assert!(
        told.contains("lost.yaml: document 1: PromptPolicy nowhere/lost"),
        "{told}"
    );
    assert!(String::from_utf8(output.stdout)?.contains("name: tenant-acme"));
    Ok(())
}

#[tokio::test]
async fn a_token_is_one_line_with_the_claims_asked_for() -> Result<()> {
    let person = Person::new()?;
    let arguments = [
        "token", "--org", "acme", "--user", "alice", "--role", "a", "--role", "b", "--ttl", "30m",
    ];
    let output = String::from_utf8(person.run(&arguments).await?.stdout)?;
    assert_eq!(output.lines().count(), 1, "{output}");
    let payload = output.split('.').nth(1).context("it is no JWT")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    let found = json!([
        claims["org_id"],
        claims["sub"],
        claims["roles"],
        claims["aud"]
    ]);
    assert_eq!(found, json!(["acme", "alice", ["a", "b"], "agentapi"]));
    let valid = claims["exp"]
        .as_u64()
        .zip(claims["iat"].as_u64())
        .map(|(end, start)| end - start);
    assert_eq!(valid, Some(1800));
    Ok(())
}

#[tokio::test]
async fn a_token_without_user_or_with_an_impossible_lifetime_is_refused() -> Result<()> {
    let person = Person::new()?;
    for arguments in [
        vec!["token", "--org", "acme"],
        vec!["token", "--org", "acme", "--user", "alice", "--ttl", "soon"],
        vec!["token", "--org", "acme", "--user", "alice", "--ttl", "0s"],
    ] {
        let output = person.run(&arguments).await?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    Ok(())
}
