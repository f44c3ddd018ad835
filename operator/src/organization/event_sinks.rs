//! The event sinks of an organization that can be used: their signing secrets are there.

use agentapi_crds::tenant_config::EventSinkConfig;
use agentapi_crds::{Organization, OrganizationSpec, names};
use url::Url;

use crate::inputs::Secrets;
use crate::mcp_server::{Destination, resolve};
use crate::problem::Problem;

/// The sinks that events are sent to, and what keeps others from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSinks {
    /// Usable sinks, ordered by name.
    pub usable: Vec<EventSinkConfig>,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
}

/// Judges each sink alone: one without its Secret is left out at once, and keeps
/// neither the others nor the organization from being served.
pub(super) fn assess_event_sinks(organization: &Organization, secrets: &Secrets) -> EventSinks {
    let mut sinks = EventSinks::default();
    for (index, sink) in organization.spec.event_sinks.iter().enumerate() {
        let field = format!("spec.eventSinks[{index}]");
        let url = Url::parse(&sink.url);
        let host = url.as_ref().ok().and_then(Url::host_str);
        let secret = match host {
            Some(host) => resolve(
                secrets,
                names::CREDENTIALS_NAMESPACE,
                &sink.secret_ref,
                &Destination::Host(host),
                &format!("{field}.secretRef"),
            ),
            None => Err(Problem::invalid(
                format!("{field}.url"),
                "is not an absolute URL with a host",
            )),
        };
        match secret {
            Ok(secret) => sinks.usable.push(EventSinkConfig {
                name: sink.name.clone(),
                url: sink.url.clone(),
                secret,
                events: sink.events.clone(),
            }),
            Err(problem) => sinks.problems.push(problem),
        }
    }
    sinks.usable.sort_by(|one, other| one.name.cmp(&other.name));
    sinks
}

/// Names of the Secrets in [`names::CREDENTIALS_NAMESPACE`] that an organization refers to.
pub(crate) fn credential_names(spec: &OrganizationSpec) -> impl Iterator<Item = &str> {
    let sinks = spec.event_sinks.iter();
    sinks.map(|sink| sink.secret_ref.name.as_str())
}

#[cfg(test)]
#[path = "event_sinks_tests.rs"]
mod tests;
