//! The program `agentapi-gateway bridge` itself, as it runs in a server's pod.

use std::process::Stdio;
use std::time::SystemTime;

use agentapi_gateway::upstream::BridgeSigner;
use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// An Ed25519 key that is used nowhere else (RFC 8410, 10.3).
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const AUDIENCE: &str = "agentapi-bridge/org-acme/notes";
/// Answers `initialize`, then waits for the end of its input.
const SERVER: &str = r#"read -r l; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; cat > /dev/null"#;

/// A running bridge.
struct Bridge {
    url: String,
    /// Where it makes its sessions' directories.
    scratch: TempDir,
    _child: Child,
}

impl Bridge {
    async fn start() -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let signer = BridgeSigner::from_pem(&SecretString::from(KEY.to_owned()))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_agentapi-gateway"))
            .args(["bridge", "--listen", "127.0.0.1:0", "--"])
            .args(["sh", "-c", SERVER])
            .env("AGENTAPI_BRIDGE_JWKS", signer.key_set())
            .env("AGENTAPI_BRIDGE_AUDIENCE", AUDIENCE)
            .env("TMPDIR", scratch.path())
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let log = child.stderr.take().context("there is no log")?;
        let mut log = BufReader::new(log).lines();
        let address = loop {
            let line = log.next_line().await?;
            let line = line.context("the bridge ends before it serves")?;
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = line["address"].as_str() {
                break address.to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Ok(Self {
            url: format!("http://{address}/mcp"),
            scratch,
            _child: child,
        })
    }

    async fn initialize(&self, token: Option<&str>) -> Result<StatusCode> {
        let mut request = Request::post(&self.url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#;
        let request = request.body(Full::new(Bytes::from(body)))?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(client.request(request).await?.status())
    }

    /// When the last session's directory was made or removed: each child has one.
    fn last_start(&self) -> Result<SystemTime> {
        Ok(std::fs::metadata(self.scratch.path())?.modified()?)
    }
}

fn token(audience: &str, lifetime: i64) -> Result<String> {
    let now = jiff::Timestamp::now().as_second();
    let claims =
        json!({"iss": "agentapi-gateway", "aud": audience, "iat": now, "exp": now + lifetime});
    let key = EncodingKey::from_ed_pem(KEY.as_bytes())?;
    Ok(jsonwebtoken::encode(
        &Header::new(Algorithm::EdDSA),
        &claims,
        &key,
    )?)
}

#[tokio::test]
async fn a_child_is_started_for_the_gateway() -> Result<()> {
    let bridge = Bridge::start().await?;
    let before = bridge.last_start()?;
    let status = bridge.initialize(Some(&token(AUDIENCE, 60)?)).await?;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(bridge.last_start()?, before, "no directory for a session");
    Ok(())
}

#[tokio::test]
async fn no_child_is_started_for_anybody_else() -> Result<()> {
    let bridge = Bridge::start().await?;
    let before = bridge.last_start()?;
    let theirs = "agentapi-bridge/org-globex/notes";
    let cases = [
        ("no token", None),
        ("another server's", Some(token(theirs, 60)?)),
        ("an expired one", Some(token(AUDIENCE, -60)?)),
        ("one for longer than any", Some(token(AUDIENCE, 86_400)?)),
    ];
    for (what, token) in cases {
        let status = bridge.initialize(token.as_deref()).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
    }
    assert_eq!(bridge.last_start()?, before, "a child was started");
    Ok(())
}
