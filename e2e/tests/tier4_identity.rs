//! A real OpenID Connect provider as the issuer of an organization.

use std::fs;

use agentapi_e2e::client::Client;
use agentapi_e2e::peers::{self, Peer};
use agentapi_e2e::program::{Program, built};
use anyhow::Result;
use http::{Method, StatusCode};
use tempfile::TempDir;

const ORGANIZATION: &str = "oidc";

async fn gateway(provider: &Peer, manifests: &TempDir) -> Result<Program> {
    let text = format!(
        r#"
apiVersion: agentapi.dev/v1alpha1
kind: Organization
metadata: {{name: {ORGANIZATION}}}
spec:
  displayName: OpenID Connect
  identity: {{issuers: [{{issuer: "{}", audiences: [agentapi]}}]}}
  network: {{egress: [{{cidr: 127.0.0.0/8}}]}}
  rateLimits: {{requestsPerMinute: 60000, burst: 1000}}
"#,
        provider.url
    );
    fs::write(manifests.path().join("organization.yaml"), text)?;
    let folder = manifests.path().display().to_string();
    Program::start(
        &built("agentapi")?,
        &["dev", "--manifests", &folder, "--listen", "127.0.0.1:0"],
        &[],
    )
    .await
}

/// The keys come from the provider's discovery document.
async fn assert_accepted(algorithm: &str) -> Result<()> {
    let provider = peers::identity_provider(ORGANIZATION).await?;
    let manifests = TempDir::new()?;
    let gateway = gateway(&provider, &manifests).await?;
    let token = peers::access_token(&provider, algorithm).await?;
    let authorization = format!("Bearer {token}");
    let answer = Client::new(&gateway.address)
        .send(
            Method::GET,
            "/v1/sessions",
            &[("authorization", &authorization)],
            "",
        )
        .await?;
    assert_eq!(
        answer.status,
        StatusCode::OK,
        "a {algorithm} token was refused: {:?}",
        answer.body
    );
    Ok(())
}

#[tokio::test]
async fn an_rs256_token_of_the_provider_is_accepted() -> Result<()> {
    assert_accepted("RS256").await
}

#[tokio::test]
async fn an_es256_token_of_the_provider_is_accepted() -> Result<()> {
    assert_accepted("ES256").await
}

#[tokio::test]
async fn an_eddsa_token_of_the_provider_is_accepted() -> Result<()> {
    assert_accepted("EdDSA").await
}

#[tokio::test]
async fn a_token_of_the_same_provider_for_another_organization_is_refused() -> Result<()> {
    let provider = peers::identity_provider("somebody-else").await?;
    let manifests = TempDir::new()?;
    let gateway = gateway(&provider, &manifests).await?;
    let token = peers::access_token(&provider, "RS256").await?;
    let authorization = format!("Bearer {token}");
    let answer = Client::new(&gateway.address)
        .send(
            Method::GET,
            "/v1/sessions",
            &[("authorization", &authorization)],
            "",
        )
        .await?;
    assert_eq!(
        answer.status,
        StatusCode::UNAUTHORIZED,
        "a token that names another organization was let in"
    );
    Ok(())
}
