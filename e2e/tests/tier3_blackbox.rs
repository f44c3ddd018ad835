//! The black-box suite against operator and gateway on a real API server.

use agentapi_e2e::blackbox::{Suite, setting};
use agentapi_e2e::client::Client;
use agentapi_e2e::cluster::Cluster;
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::program::{Program, built};
use anyhow::{Result, ensure};
use http::{Method, StatusCode};

#[tokio::test]
async fn the_cluster_answers_as_the_committed_transcript_says() -> Result<()> {
    let cluster = Cluster::connect()?;
    let clock = Program::start(
        &built("agentapi")?,
        &["sample", "clock", "--listen", "127.0.0.1:0"],
        &[],
    )
    .await?;
    let issuer = Issuer::new("https://issuer.test")?;
    let manifests = setting::manifests(&issuer, &clock.address);

    apply(&cluster, &manifests).await?;
    serving(&cluster, &issuer).await?;

    setting::expect_transcript(
        &Suite::new(&cluster.gateway, &issuer, &clock.address)?
            .run()
            .await?,
    )
}

/// Organizations first: they bring the namespaces that the rest goes into.
async fn apply(cluster: &Cluster, manifests: &str) -> Result<()> {
    let (organizations, rest): (Vec<_>, Vec<_>) = manifests
        .split("\n---\n")
        .partition(|document| document.contains("kind: Organization"));
    cluster.apply(&organizations.join("\n---\n")).await?;
    for organization in [setting::FIRST, setting::SECOND] {
        cluster
            .wait_for_condition(&["organization", organization], "Ready", "True")
            .await?;
    }
    cluster.apply(&rest.join("\n---\n")).await
}

/// Waits until the gateway serves the last of what was applied.
async fn serving(cluster: &Cluster, issuer: &Issuer) -> Result<()> {
    let client = Client::new(&cluster.gateway);
    let authorization = format!(
        "Bearer {}",
        issuer.token(setting::FIRST, "alice", &["user"])?
    );
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    eventually(
        "the gateway serves the applied prompt policy and servers",
        async || {
            let prompt = client
                .send(Method::POST, "/v1/prompts/preview", &headers, "{}")
                .await?;
            ensure!(
                prompt.json()?.to_string().contains("politely"),
                "the prompt is {}",
                prompt.json()?
            );
            let server = client
                .send(Method::GET, "/mcp/undeclared", &headers, "")
                .await?;
            ensure!(
                server.status != StatusCode::NOT_FOUND,
                "the servers are unknown"
            );
            Ok(())
        },
    )
    .await
}
