//! Real MCP servers behind the gateway: what they say arrives byte for byte.

use std::fs;

use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::mcp::Mcp;
use agentapi_e2e::peers::{self, Peer};
use agentapi_e2e::program::{Program, built};
use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

const ORGANIZATION: &str = "peers";

/// A gateway with one organization that has one server.
struct Gateway {
    program: Program,
    token: String,
    _manifests: TempDir,
}

async fn gateway(server: &str, peer: &Peer) -> Result<Gateway> {
    let issuer = Issuer::new("https://issuer.test")?;
    let manifests = TempDir::new()?;
    let text = format!(
        r#"
apiVersion: agentapi.dev/v1alpha1
kind: Organization
metadata: {{name: {ORGANIZATION}}}
spec:
  displayName: Peers
  identity: {{issuers: [{{issuer: "{}", jwks: '{}', audiences: [agentapi]}}]}}
  network: {{egress: [{{cidr: 127.0.0.0/8}}]}}
  rateLimits: {{requestsPerMinute: 60000, burst: 1000}}
---
apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {{name: {server}, namespace: org-{ORGANIZATION}}}
spec: {{remote: {{url: "{}"}}}}
"#,
        issuer.url,
        issuer.key_set(),
        peer.url
    );
    fs::write(manifests.path().join("manifests.yaml"), text)?;
    let folder = manifests.path().display().to_string();
    let program = Program::start(
        &built("agentapi")?,
        &["dev", "--manifests", &folder, "--listen", "127.0.0.1:0"],
        &[],
    )
    .await?;
    Ok(Gateway {
        program,
        token: issuer.token(ORGANIZATION, "alice", &["user"])?,
        _manifests: manifests,
    })
}

impl Gateway {
    async fn connect(&self, path: &str) -> Result<Mcp> {
        Mcp::connect(
            &format!("{}{path}", self.program.address),
            Some(&self.token),
        )
        .await
    }
}

/// Requests that the peer answers the same way every time.
fn everything_requests() -> Vec<(&'static str, Value)> {
    vec![
        ("tools/list", json!({})),
        (
            "tools/call",
            json!({ "name": "echo", "arguments": { "message": "Grüße \u{2028} \"quoted\"" } }),
        ),
        (
            "tools/call",
            json!({ "name": "get-sum", "arguments": { "a": 1, "b": 2.5 } }),
        ),
        (
            "tools/call",
            json!({ "name": "get-structured-content", "arguments": { "location": "New York" } }),
        ),
        (
            "tools/call",
            json!({ "name": "get-tiny-image", "arguments": {} }),
        ),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "simple-prompt" })),
    ]
}

fn library_requests() -> Vec<(&'static str, Value)> {
    vec![
        ("tools/list", json!({})),
        (
            "tools/call",
            json!({ "name": "find_book", "arguments": { "id": "3" } }),
        ),
        (
            "tools/call",
            json!({ "name": "list_books", "arguments": {} }),
        ),
        (
            "tools/call",
            json!({ "name": "find_book", "arguments": { "id": "unknown" } }),
        ),
        ("resources/list", json!({})),
        ("resources/read", json!({ "uri": "book://all" })),
        ("resources/read", json!({ "uri": "book://1" })),
        ("prompts/list", json!({})),
        (
            "prompts/get",
            json!({ "name": "review", "arguments": { "title": "Ulysses" } }),
        ),
    ]
}

async fn assert_untouched(server: &str, peer: &Peer, requests: Vec<(&str, Value)>) -> Result<()> {
    let gateway = gateway(server, peer).await?;
    let direct = Mcp::connect(&peer.url, None).await?;
    let through = gateway.connect(&format!("/mcp/{server}")).await?;
    for (method, params) in requests {
        let expected = direct.result(method, params.clone()).await?;
        let found = through.result(method, params.clone()).await?;
        assert_eq!(
            found, expected,
            "{method} {params} at /mcp/{server} differs from the direct call"
        );
    }
    Ok(())
}

/// `params` as they must be asked for on the federated endpoint.
fn federated_params(server: &str, params: &Value) -> Value {
    let mut params = params.clone();
    if let Some(name) = params["name"].as_str() {
        params["name"] = json!(format!("{server}__{name}"));
    }
    if let Some(uri) = params["uri"].as_str() {
        params["uri"] = json!(format!("{server}+{uri}"));
    }
    params
}

/// A federated result with the names of the direct one.
fn undone(server: &str, result: &str) -> String {
    result
        .replace(&format!("\"{server}__"), "\"")
        .replace(&format!("\"{server}+"), "\"")
}

async fn assert_federated(server: &str, peer: &Peer, requests: Vec<(&str, Value)>) -> Result<()> {
    let gateway = gateway(server, peer).await?;
    let direct = Mcp::connect(&peer.url, None).await?;
    let federated = gateway.connect("/mcp").await?;
    for (method, params) in requests {
        let expected = direct.result(method, params.clone()).await?;
        let found = undone(
            server,
            &federated
                .result(method, federated_params(server, &params))
                .await?,
        );
        assert_eq!(
            found, expected,
            "{method} {params} at /mcp differs from the direct call by more than its names"
        );
    }
    Ok(())
}

#[tokio::test]
async fn everything_is_untouched_on_its_own_endpoint() -> Result<()> {
    assert_untouched(
        "everything",
        &peers::everything().await?,
        everything_requests(),
    )
    .await
}

#[tokio::test]
async fn everything_differs_by_names_only_on_the_federated_endpoint() -> Result<()> {
    assert_federated(
        "everything",
        &peers::everything().await?,
        everything_requests(),
    )
    .await
}

#[tokio::test]
async fn fastmcp_is_untouched_on_its_own_endpoint() -> Result<()> {
    assert_untouched("library", &peers::library().await?, library_requests()).await
}

#[tokio::test]
async fn fastmcp_differs_by_names_only_on_the_federated_endpoint() -> Result<()> {
    assert_federated("library", &peers::library().await?, library_requests()).await
}
