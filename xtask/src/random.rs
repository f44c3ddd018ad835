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

fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut buffer = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut buffer))
        .context("cannot read /dev/urandom")?;
    Ok(buffer)
}
