//! The document that the gateway serves an organization from: what is valid as
//! it is written, what is invalid as it was.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use agentapi_crds::tenant_config::{
    EventSinkConfig, MIN_READER, PromptConfig, PromptLevel, SCHEMA_VERSION, ServerConfig,
    TenantConfig,
};

use super::validate::ValidatedOrganization;
use crate::problem::Member;

/// Largest document written, in bytes. A ConfigMap holds at most 1 MiB in all,
/// metadata and managed fields included.
const MAX_DOCUMENT_BYTES: usize = 900 * 1024;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// It would not fit into a ConfigMap.
    #[error(
        "the TenantConfig would have {bytes} bytes and at most {MAX_DOCUMENT_BYTES} fit: remove servers, prompts or inline keys; what was served before stays"
    )]
    TooLarge {
        /// Size of the document.
        bytes: usize,
    },
    /// It cannot be written as JSON.
    #[error("the TenantConfig cannot be written: {0}")]
    Serialize(#[from] serde_json::Error),
}

/// Everything that an organization's document is made of, besides the organization.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// Servers by name.
    pub servers: BTreeMap<String, Member<ServerConfig>>,
    /// Prompt policies by level and name.
    pub prompts: BTreeMap<(PromptLevel, String), Member<PromptConfig>>,
    /// Event sinks that can be used, ordered by name.
    pub event_sinks: Vec<EventSinkConfig>,
}

/// The document of a valid organization.
pub fn compose(
    organization: &ValidatedOrganization,
    members: &Members,
    live: Option<&TenantConfig>,
) -> Result<TenantConfig, ComposeError> {
    let document = TenantConfig {
        schema_version: SCHEMA_VERSION,
        min_reader: MIN_READER,
        revision: String::new(),
        organization: organization.name.clone(),
        tenant_id: organization.tenant_id,
        namespace: organization.namespace.clone(),
        display_name: organization.display_name.clone(),
        suspended: organization.suspended,
        identity: organization.identity.clone(),
        egress: organization.egress.clone(),
        sessions: organization.sessions.clone(),
        rate_limits: organization.rate_limits.clone(),
        concurrency: organization.concurrency,
        audit: organization.audit,
        user_servers: organization.user_servers,
        event_sinks: members.event_sinks.clone(),
        servers: Vec::new(),
        prompts: Vec::new(),
    };
    finish(document, members, live)
}

/// The document with its members, sealed and of a size that fits.
pub(crate) fn finish(
    mut document: TenantConfig,
    members: &Members,
    live: Option<&TenantConfig>,
) -> Result<TenantConfig, ComposeError> {
    document.servers = servers(members, live);
    document.prompts = prompts(members, live);
    let document = document.sealed()?;
    let bytes = serde_json::to_vec(&document)?.len();
    if bytes > MAX_DOCUMENT_BYTES {
        return Err(ComposeError::TooLarge { bytes });
    }
    Ok(document)
}

fn servers(members: &Members, live: Option<&TenantConfig>) -> Vec<ServerConfig> {
    let previous = |name: &str| {
        let live = live.into_iter().flat_map(|document| &document.servers);
        live.into_iter().find(|server| server.name == name).cloned()
    };
    let entries = members.servers.iter();
    entries
        .filter_map(|(name, member)| match member {
            Member::Valid(server) => Some(server.clone()),
            Member::Withdrawn(_) => None,
            Member::Invalid(_) => previous(name),
        })
        .collect()
}

fn prompts(members: &Members, live: Option<&TenantConfig>) -> Vec<PromptConfig> {
    let previous = |level: PromptLevel, name: &str| {
        let live = live.into_iter().flat_map(|document| &document.prompts);
        live.into_iter()
            .find(|prompt| prompt.level == level && prompt.name == name)
            .cloned()
    };
    let entries = members.prompts.iter();
    let mut prompts: Vec<_> = entries
        .filter_map(|((level, name), member)| match member {
            Member::Valid(prompt) => Some(prompt.clone()),
            Member::Withdrawn(_) => None,
            Member::Invalid(_) => previous(*level, name),
        })
        .collect();
    prompts.sort_by(|left, right| order(left).cmp(&order(right)));
    prompts
}

/// Global ones first, each level by descending priority, then name.
fn order(prompt: &PromptConfig) -> (PromptLevel, Reverse<i32>, &str) {
    (prompt.level, Reverse(prompt.priority), &prompt.name)
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
