//! Bounds on what an organization uses.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::ResourceList;
use crate::rules;

/// Open sessions of a user unless said otherwise.
const DEFAULT_SESSIONS_PER_USER: u32 = 1000;
/// Time without a request after which a session ends unless said otherwise.
const DEFAULT_SESSION_IDLE_TIMEOUT: &str = "30m";
/// Age at which a session ends unless said otherwise.
const DEFAULT_SESSION_MAX_LIFETIME: &str = "24h";
/// Sustained requests a minute of a user unless said otherwise.
const DEFAULT_REQUESTS_PER_MINUTE: u32 = 60;
/// Requests of a user that may come at once unless said otherwise.
const DEFAULT_BURST: u32 = 10;
/// Requests of an organization under way at one time unless said otherwise.
const DEFAULT_CONCURRENT_REQUESTS: u32 = 200;
/// Open streams of an organization unless said otherwise.
const DEFAULT_CONCURRENT_STREAMS: u32 = 1000;

fn default_max_per_user() -> u32 {
    DEFAULT_SESSIONS_PER_USER
}

fn default_idle_timeout() -> String {
    DEFAULT_SESSION_IDLE_TIMEOUT.to_owned()
}

fn default_max_lifetime() -> String {
    DEFAULT_SESSION_MAX_LIFETIME.to_owned()
}

fn default_requests_per_minute() -> u32 {
    DEFAULT_REQUESTS_PER_MINUTE
}

fn default_burst() -> u32 {
    DEFAULT_BURST
}

fn default_requests() -> u32 {
    DEFAULT_CONCURRENT_REQUESTS
}

fn default_streams() -> u32 {
    DEFAULT_CONCURRENT_STREAMS
}

/// Amounts for containers that state none, and bounds for those that do (LimitRange, type Container).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDefaults {
    /// Limits of a container that states none.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "crate::quantity::resource_list_schema")]
    pub default: ResourceList,
    /// Requests of a container that states none.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "crate::quantity::resource_list_schema")]
    pub default_request: ResourceList,
    /// Most that a container may state.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "crate::quantity::resource_list_schema")]
    pub max: ResourceList,
    /// Least that a container may state.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "crate::quantity::resource_list_schema")]
    pub min: ResourceList,
}

/// Bounds on agent sessions.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"duration(self.idleTimeout) <= duration(self.maxLifetime)"#)
    .message("idleTimeout must not exceed maxLifetime").field_path(".idleTimeout"))]
#[serde(rename_all = "camelCase")]
pub struct Sessions {
    /// Most sessions that a user may have open.
    #[serde(default = "default_max_per_user")]
    #[schemars(range(min = 1, max = 1000000))]
    pub max_per_user: u32,
    /// Time without a request after which a session ends, for example 30m.
    #[serde(default = "default_idle_timeout")]
    #[schemars(length(min = 2, max = 24), regex(pattern = crate::duration::PATTERN))]
    #[x_kube(validation = rules::duration_between("1s", "720h"))]
    pub idle_timeout: String,
    /// Age at which a session ends in any case, for example 24h.
    #[serde(default = "default_max_lifetime")]
    #[schemars(length(min = 2, max = 24), regex(pattern = crate::duration::PATTERN))]
    #[x_kube(validation = rules::duration_between("1s", "720h"))]
    pub max_lifetime: String,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            max_per_user: default_max_per_user(),
            idle_timeout: default_idle_timeout(),
            max_lifetime: default_max_lifetime(),
        }
    }
}

/// Request rates of each user, and a ceiling over all of them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RateLimits {
    /// Sustained requests a minute of each user.
    #[serde(default = "default_requests_per_minute")]
    #[schemars(range(min = 1, max = 1000000))]
    pub requests_per_minute: u32,
    /// Requests of each user that may come at once.
    #[serde(default = "default_burst")]
    #[schemars(range(min = 1, max = 1000000))]
    pub burst: u32,
    /// Rates of each user for one class of requests, in place of the two above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<ClassRates>,
    /// Ceiling of the whole organization, over all users and classes. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationRate>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            requests_per_minute: default_requests_per_minute(),
            burst: default_burst(),
            overrides: None,
            organization: None,
        }
    }
}

/// Rates by class of request.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClassRates {
    /// The HTTP API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Rate>,
    /// MCP messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Rate>,
    /// Model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Rate>,
}

/// A sustained rate and what may come at once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Sustained requests a minute.
    #[serde(default = "default_requests_per_minute")]
    #[schemars(range(min = 1, max = 1000000))]
    pub requests_per_minute: u32,
    /// Requests that may come at once.
    #[serde(default = "default_burst")]
    #[schemars(range(min = 1, max = 1000000))]
    pub burst: u32,
}

/// Ceiling of a whole organization; no defaults, since it depends on the number of users.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationRate {
    /// Sustained requests a minute.
    #[schemars(range(min = 1, max = 10000000))]
    pub requests_per_minute: u32,
    /// Requests that may come at once.
    #[schemars(range(min = 1, max = 10000000))]
    pub burst: u32,
}

/// Bounds on work of an organization under way at one time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Concurrency {
    /// Requests under way at one time.
    #[serde(default = "default_requests")]
    #[schemars(range(min = 1, max = 100000))]
    pub requests: u32,
    /// Open event streams.
    #[serde(default = "default_streams")]
    #[schemars(range(min = 1, max = 100000))]
    pub streams: u32,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            requests: default_requests(),
            streams: default_streams(),
        }
    }
}
