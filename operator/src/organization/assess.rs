//! The desired state of one organization with everything that belongs to it:
//! what the Organization's reconciler applies, and what `agentapi dev` serves.

use std::collections::{BTreeMap, BTreeSet};

use agentapi_crds::conditions::reasons;
use agentapi_crds::tenant_config::{PromptConfig, PromptLevel, TenantConfig};
use agentapi_crds::{McpServer, Organization, PromptPolicy};

use super::compose::{self, ComposeError, Members, compose};
use super::event_sinks::{EventSinks, assess_event_sinks};
use super::names::owner_of;
use super::validate::{ValidatedOrganization, validate};
use super::{claims, plan};
use crate::inputs::Secrets;
use crate::mcp_server::{self, Surroundings, ValidatedServer};
use crate::object::Object;
use crate::pause::is_paused;
use crate::problem::{Member, Problem};
use crate::prompt_policy;
use crate::settings::Settings;

/// What one organization's desired state follows from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The organization.
    pub organization: &'a Organization,
    /// The other organizations, or those that claim something that this one
    /// claims too; may include the one assessed.
    pub all: &'a [&'a Organization],
    /// The servers of its namespace.
    pub servers: &'a [&'a McpServer],
    /// The policies of the platform's namespace and of its own.
    pub prompts: &'a [&'a PromptPolicy],
    /// The Secrets of its namespace, and its own among the platform's credentials.
    pub secrets: &'a Secrets,
    /// Servers that run in the cluster whose Service is not there, or is not
    /// the operator's: what stands in its place must not be dialled.
    pub unreachable: &'a BTreeSet<String>,
    /// The document it is served from now.
    pub live: Option<&'a TenantConfig>,
    /// What the platform decides.
    pub settings: &'a Settings,
}

/// The desired state of one organization.
#[derive(Debug)]
pub struct Assessment {
    /// The organization with its defaults, or all that must change in it.
    pub organization: Result<ValidatedOrganization, Vec<Problem>>,
    /// Its servers by name.
    pub servers: BTreeMap<String, Member<ValidatedServer>>,
    /// Its prompt policies, global ones included, by level and name.
    pub prompts: BTreeMap<(PromptLevel, String), Member<PromptConfig>>,
    /// Its event sinks.
    pub event_sinks: EventSinks,
    /// The document it should be served from. `None`: none has ever been valid.
    pub document: Result<Option<TenantConfig>, ComposeError>,
    /// The objects of the organization itself, in the order in which they are applied.
    pub objects: Vec<Object>,
}

/// Computes the desired state of one organization.
pub fn assess(view: &View<'_>) -> Assessment {
    let organization = validated(view);
    let servers = assess_servers(view, organization.as_ref().ok());
    let prompts = assess_prompts(view);
    let event_sinks = assess_event_sinks(view.organization, view.secrets);
    let members = Members {
        servers: servers
            .iter()
            .map(|(name, server)| (name.clone(), entry(server)))
            .collect(),
        prompts: prompts.clone(),
        event_sinks: event_sinks.usable.clone(),
    };
    let document = match &organization {
        Ok(valid) => compose(valid, &members, view.live).map(Some),
        Err(_) => keep(view, &members),
    };
    let objects = match (&organization, &document) {
        (Ok(valid), document) => {
            let document = document.as_ref().ok().and_then(Option::as_ref);
            plan(valid, document, view.settings)
        }
        (Err(_), Ok(Some(kept))) => {
            vec![plan::tenant_config_object(
                &owner_of(view.organization),
                kept,
            )]
        }
        (Err(_), _) => Vec::new(),
    };
    Assessment {
        organization,
        servers,
        prompts,
        event_sinks,
        document,
        objects,
    }
}

fn validated(view: &View<'_>) -> Result<ValidatedOrganization, Vec<Problem>> {
    let conflicts = claims::conflicts(view.organization, view.all);
    match validate(view.organization, view.settings) {
        Ok(valid) if conflicts.is_empty() => Ok(valid),
        Ok(_) => Err(conflicts),
        Err(problems) => Err(conflicts.into_iter().chain(problems).collect()),
    }
}

/// The live document of an organization that is invalid: as it was, except for
/// what acts at once (suspension, tokens that belong to another organization,
/// members that are gone).
fn keep(view: &View<'_>, members: &Members) -> Result<Option<TenantConfig>, ComposeError> {
    let Some(live) = view.live else {
        return Ok(None);
    };
    let mut kept = live.clone();
    kept.suspended = live.suspended || view.organization.spec.suspended;
    kept.identity.issuers =
        claims::without_taken(kept.identity.issuers, view.organization, view.all);
    compose::finish(kept, members, Some(live)).map(Some)
}

fn assess_servers(
    view: &View<'_>,
    organization: Option<&ValidatedOrganization>,
) -> BTreeMap<String, Member<ValidatedServer>> {
    let present = view
        .servers
        .iter()
        .filter(|server| server.metadata.deletion_timestamp.is_none());
    present
        .map(|server| {
            let name = server.metadata.name.clone().unwrap_or_default();
            let member = match organization {
                _ if !server.spec.disabled && is_paused(*server) => Member::Invalid(vec![paused()]),
                Some(organization) => {
                    let surroundings = Surroundings {
                        organization,
                        siblings: view.servers,
                        secrets: view.secrets,
                        settings: view.settings,
                    };
                    let member = mcp_server::validate(server, &surroundings);
                    reachable(member, view.unreachable.contains(&name))
                }
                None => without_organization(server, view.organization),
            };
            (name, member)
        })
        .collect()
}

/// Withholds a server that runs in the cluster until its Service is in place.
fn reachable(member: Member<ValidatedServer>, is_unreachable: bool) -> Member<ValidatedServer> {
    match member {
        Member::Valid(server) if is_unreachable && server.workload.is_some() => {
            Member::Withdrawn(Problem::new(
                reasons::PROGRESSING,
                "metadata.name",
                "the Service of the server is not there yet, or is somebody else's",
            ))
        }
        member => member,
    }
}

/// What a paused member is told: it keeps what it had.
fn paused() -> Problem {
    let message = "the resource is paused and keeps what it had";
    Problem::new(reasons::PAUSED, "metadata.annotations", message)
}

/// A server of an invalid organization keeps what it had, unless it is disabled.
pub(crate) fn without_organization<T>(
    server: &McpServer,
    organization: &Organization,
) -> Member<T> {
    let name = organization.metadata.name.as_deref().unwrap_or_default();
    if server.spec.disabled {
        Member::Withdrawn(mcp_server::disabled())
    } else {
        Member::Invalid(vec![Problem::new(
            reasons::NO_ORGANIZATION,
            "metadata.namespace",
            format!(
                "the organization {name} is not valid, see its conditions; the server keeps what it had"
            ),
        )])
    }
}

fn assess_prompts(view: &View<'_>) -> BTreeMap<(PromptLevel, String), Member<PromptConfig>> {
    let present = view
        .prompts
        .iter()
        .filter(|policy| policy.metadata.deletion_timestamp.is_none());
    present
        .map(|policy| {
            let level = prompt_policy::level_of(policy, view.settings);
            let name = policy.metadata.name.clone().unwrap_or_default();
            let member = if is_paused(*policy) {
                Member::Invalid(vec![paused()])
            } else {
                prompt_policy::validate(policy, level)
            };
            ((level, name), member)
        })
        .collect()
}

fn entry(server: &Member<ValidatedServer>) -> Member<agentapi_crds::tenant_config::ServerConfig> {
    match server {
        Member::Valid(server) => Member::Valid(server.config.clone()),
        Member::Withdrawn(problem) => Member::Withdrawn(problem.clone()),
        Member::Invalid(problems) => Member::Invalid(problems.clone()),
    }
}

#[cfg(test)]
#[path = "assess_tests.rs"]
mod tests;
