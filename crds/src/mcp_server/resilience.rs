//! Bounds on an MCP server, and what happens when it is slow or fails.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// Largest result accepted, in bytes, unless said otherwise.
const DEFAULT_RESULT_BYTES: u64 = 1024 * 1024;
/// Largest request forwarded, in bytes, unless said otherwise.
const DEFAULT_REQUEST_BYTES: u64 = 1024 * 1024;
/// Calls under way at one time unless said otherwise.
const DEFAULT_CONCURRENCY: u32 = 64;
/// Time after which a call is given up unless said otherwise.
const DEFAULT_TIMEOUT: &str = "30s";
/// Attempts after the first, for idempotent work only, unless said otherwise.
const DEFAULT_RETRY_ATTEMPTS: u32 = 2;
/// First pause between attempts unless said otherwise.
const DEFAULT_RETRY_BACKOFF: &str = "100ms";
/// Failures in a row that open the breaker unless said otherwise.
const DEFAULT_BREAKER_FAILURES: u32 = 5;
/// Time that the breaker stays open unless said otherwise.
const DEFAULT_BREAKER_OPEN_FOR: &str = "30s";

fn default_result_bytes() -> u64 {
    DEFAULT_RESULT_BYTES
}

fn default_request_bytes() -> u64 {
    DEFAULT_REQUEST_BYTES
}

fn default_concurrency() -> u32 {
    DEFAULT_CONCURRENCY
}

fn default_timeout() -> String {
    DEFAULT_TIMEOUT.to_owned()
}

fn default_attempts() -> u32 {
    DEFAULT_RETRY_ATTEMPTS
}

fn default_backoff() -> String {
    DEFAULT_RETRY_BACKOFF.to_owned()
}

fn default_failures() -> u32 {
    DEFAULT_BREAKER_FAILURES
}

fn default_open_for() -> String {
    DEFAULT_BREAKER_OPEN_FOR.to_owned()
}

/// Bounds on messages and on calls at one time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServerLimits {
    /// Largest message accepted from the server, in bytes.
    #[serde(default = "default_result_bytes")]
    #[schemars(range(min = 1024, max = 67108864))]
    pub result_bytes: u64,
    /// Largest request forwarded to the server, in bytes.
    #[serde(default = "default_request_bytes")]
    #[schemars(range(min = 1024, max = 67108864))]
    pub request_bytes: u64,
    /// Calls to the server under way at one time.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 10000))]
    pub concurrency: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            result_bytes: default_result_bytes(),
            request_bytes: default_request_bytes(),
            concurrency: default_concurrency(),
        }
    }
}

/// What happens when a server is slow or fails.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Resilience {
    /// Silence after which a call is given up, from 1s to 10m. Progress breaks it; ten times as
    /// long is the most that a call may take in all.
    #[serde(default = "default_timeout")]
    #[schemars(length(min = 2, max = 24), regex(pattern = crate::duration::PATTERN))]
    #[x_kube(validation = rules::duration_between("1s", "10m"))]
    pub timeout: String,
    /// How idempotent work is tried again; never after the first byte of an answer.
    #[serde(default)]
    pub retries: Retries,
    /// When the server is left alone for a while.
    #[serde(default)]
    pub breaker: Breaker,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            timeout: default_timeout(),
            retries: Retries::default(),
            breaker: Breaker::default(),
        }
    }
}

/// How idempotent work is tried again.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Attempts after the first. 0 means none.
    #[serde(default = "default_attempts")]
    #[schemars(range(min = 0, max = 10))]
    pub attempts: u32,
    /// First pause between attempts, from 10ms to 1m; doubles with jitter.
    #[serde(default = "default_backoff")]
    #[schemars(length(min = 2, max = 24), regex(pattern = crate::duration::PATTERN))]
    #[x_kube(validation = rules::duration_between("10ms", "1m"))]
    pub backoff: String,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: default_attempts(),
            backoff: default_backoff(),
        }
    }
}

/// When a server is left alone for a while.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// Failures in a row after which it is left alone.
    #[serde(default = "default_failures")]
    #[schemars(range(min = 1, max = 1000))]
    pub failures: u32,
    /// Time for which it is left alone, from 1s to 10m.
    #[serde(default = "default_open_for")]
    #[schemars(length(min = 2, max = 24), regex(pattern = crate::duration::PATTERN))]
    #[x_kube(validation = rules::duration_between("1s", "10m"))]
    pub open_for: String,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: default_failures(),
            open_for: default_open_for(),
        }
    }
}
