//! Secrets of local clusters.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A password: 24 random bytes in hexadecimal, safe in URLs and SQL.
///
/// # Errors
/// When the system's random source cannot be read.
pub(crate) fn password() -> Result<String> {
    Ok(hex::encode(bytes::<24>()?))
}

/// A 256-bit key in base64.
///
/// # Errors
/// When the system's random source cannot be read.
pub(crate) fn key() -> Result<String> {
    Ok(BASE64_STANDARD.encode(bytes::<32>()?))
}

/// An Ed25519 private key as PKCS#8 in PEM (RFC 8410, 7).
///
/// # Errors
/// When the system's random source cannot be read.
pub(crate) fn ed25519_key() -> Result<String> {
    const BEFORE_THE_KEY: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let document = [&BEFORE_THE_KEY[..], &bytes::<32>()?].concat();
    let body = BASE64_STANDARD.encode(document);
    Ok(format!(
        "-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    ))
}

fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut buffer = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut buffer))
        .context("cannot read /dev/urandom")?;
    Ok(buffer)
}
