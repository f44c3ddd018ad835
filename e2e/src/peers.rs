//! Real MCP servers and a real identity provider, as their authors publish them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::client::Client;
use crate::program::{Program, setting};

const START_LIMIT: Duration = Duration::from_secs(60);

/// One peer starts at a time, and its time runs from its turn: each reads and
/// compiles hundreds of files, and several at once on a busy machine hold each
/// other up for longer than any of them may take.
static TURN: Mutex<()> = Mutex::const_new(());

/// A peer that runs until it is dropped.
pub struct Peer {
    /// Where it listens: the MCP endpoint, or the issuer.
    pub url: String,
    _program: Program,
}

/// npm `@modelcontextprotocol/server-everything`, over Streamable HTTP.
pub async fn everything() -> Result<Peer> {
    let _turn = TURN.lock().await;
    // The program takes a port and cannot tell which one it got.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let script = node_modules()?.join("@modelcontextprotocol/server-everything/dist/index.js");
    let script = script
        .to_str()
        .context("the path of the peers is not UTF-8")?;
    let program = Program::spawn(
        "node".as_ref(),
        &[script, "streamableHttp"],
        &[("PORT", &port.to_string())],
    )?;
    let base = format!("http://127.0.0.1:{port}");
    answers(&base).await?;
    Ok(Peer {
        url: format!("{base}/mcp"),
        _program: program,
    })
}

/// The token of [`redis_over_rest`].
pub const REST_TOKEN: &str = "token-of-a-test-only";

/// npm `@humanwhocodes/upstash-redis-server`, over the Redis server of a URL.
pub async fn redis_over_rest(redis: &str) -> Result<Peer> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let script = node_modules()?.join("@humanwhocodes/upstash-redis-server/dist/server.js");
    let script = script
        .to_str()
        .context("the path of the peers is not UTF-8")?;
    let program = Program::spawn(
        "node".as_ref(),
        &[script],
        &[
            ("PORT", &port.to_string()),
            ("URS_TOKEN", REST_TOKEN),
            ("REDIS_URL", redis),
        ],
    )?;
    answers(&format!("http://127.0.0.1:{port}")).await?;
    Ok(Peer {
        url: format!("http://:{REST_TOKEN}@127.0.0.1:{port}"),
        _program: program,
    })
}

/// A server on PyPI's `fastmcp` (`peers/python/server.py`).
pub async fn library() -> Result<Peer> {
    let _turn = TURN.lock().await;
    let python = PathBuf::from(setting("AGENTAPI_TEST_PYTHON")?);
    let program = Program::start(
        &python,
        &[concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/python/server.py"
        )],
        &[],
    )
    .await?;
    let url = program.address.clone();
    answers(url.trim_end_matches("/mcp")).await?;
    Ok(Peer {
        url,
        _program: program,
    })
}

/// npm `oidc-provider` (`peers/node/issuer.mjs`), whose tokens name one organization.
pub async fn identity_provider(organization: &str) -> Result<Peer> {
    let _turn = TURN.lock().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/node/issuer.mjs");
    let program = Program::start("node".as_ref(), &[script, organization], &[]).await?;
    Ok(Peer {
        url: program.address.clone(),
        _program: program,
    })
}

/// An access token of [`identity_provider`], signed by the given algorithm.
pub async fn access_token(provider: &Peer, algorithm: &str) -> Result<String> {
    let client = STANDARD.encode("agent:agent-secret-of-a-test-only");
    let headers = [
        ("authorization", format!("Basic {client}")),
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ),
    ];
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let form = format!(
        "grant_type=client_credentials&scope={algorithm}&resource=https://agentapi.example/{algorithm}"
    );
    let answer = Client::new(&provider.url)
        .send(Method::POST, "/token", &headers, form)
        .await?;
    let body: Value = answer.json()?;
    let token = body["access_token"]
        .as_str()
        .with_context(|| format!("no access token came back: {body}"))?;
    Ok(token.to_owned())
}

fn node_modules() -> Result<PathBuf> {
    Ok(PathBuf::from(setting("AGENTAPI_TEST_NODE")?).join("node_modules"))
}

/// Waits until something answers HTTP there, whatever it says.
async fn answers(base: &str) -> Result<()> {
    let started = Instant::now();
    while Client::new(base)
        .send(Method::GET, "/", &[], "")
        .await
        .is_err()
    {
        if started.elapsed() > START_LIMIT {
            bail!("{base} did not answer within {START_LIMIT:?}: its standard error says why");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
