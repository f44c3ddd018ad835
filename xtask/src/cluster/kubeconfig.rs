//! Kubeconfig files, in JSON (which every YAML reader reads).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// How a user proves who they are.
#[derive(Debug)]
pub(crate) enum Credential {
    /// A client certificate.
    Certificate { certificate: PathBuf, key: PathBuf },
    /// A bearer token, such as a service account's.
    Token(String),
}

/// Writes a kubeconfig for the API server on a loopback port, readable by its
/// owner only and complete in itself.
///
/// # Errors
/// When a certificate cannot be read or the file cannot be written.
pub(crate) fn write(
    path: &Path,
    port: u16,
    authority: &Path,
    user: &str,
    credential: &Credential,
) -> Result<()> {
    let credential = match credential {
        Credential::Certificate { certificate, key } => json!({
            "client-certificate-data": encoded(certificate)?,
            "client-key-data": encoded(key)?,
        }),
        Credential::Token(token) => json!({ "token": token }),
    };
    let document = document(port, &encoded(authority)?, user, &credential);
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        writeln!(file, "{document:#}")
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn document(port: u16, authority: &str, user: &str, credential: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "agentapi",
            "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "certificate-authority-data": authority,
            },
        }],
        "users": [{ "name": user, "user": credential }],
        "contexts": [{ "name": "agentapi", "context": { "cluster": "agentapi", "user": user } }],
        "current-context": "agentapi",
    })
}

fn encoded(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(BASE64_STANDARD.encode(bytes))
}
