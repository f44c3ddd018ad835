//! How the record of an organization is kept.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the record of an organization is kept.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// How long records are kept, in days: 30d, 90d, 365d or 2555d (seven years).
    #[serde(default)]
    pub retention: AuditRetention,
    /// When tool and model calls are acknowledged. Configuration, credential and approval acts are always synchronous.
    #[serde(default)]
    pub durability: AuditDurability,
}

/// How long records are kept.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditRetention {
    /// A month.
    #[serde(rename = "30d")]
    Days30,
    /// A quarter.
    #[serde(rename = "90d")]
    Days90,
    /// A year.
    #[default]
    #[serde(rename = "365d")]
    Days365,
    /// Seven years.
    #[serde(rename = "2555d")]
    Days2555,
}

impl AuditRetention {
    /// The period in days.
    pub fn days(self) -> u32 {
        match self {
            Self::Days30 => 30,
            Self::Days90 => 90,
            Self::Days365 => 365,
            Self::Days2555 => 2555,
        }
    }
}

/// When a tool or model call is acknowledged with respect to its record.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum AuditDurability {
    /// Intent committed before the act, outcome before the reply.
    #[default]
    Synchronous,
    /// Recorded shortly after the reply; a crash may lose a bounded, counted number.
    Buffered,
}
