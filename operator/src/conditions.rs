//! `status.conditions`: from what is asserted now and what was written before.

use agentapi_crds::conditions::{reasons, types};
use agentapi_crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Longest message that the schema takes.
const MAX_MESSAGE_CHARACTERS: usize = 32_768;

/// One condition as it should be now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assertion {
    /// Type of the condition.
    pub condition_type: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, for machines.
    pub reason: &'static str,
    /// Why, and what to do, for people.
    pub message: String,
}

impl Assertion {
    /// A condition that holds.
    pub(crate) fn is_true(
        condition_type: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            condition_type,
            holds: true,
            reason,
            message: message.into(),
        }
    }

    /// A condition that does not hold.
    pub(crate) fn is_false(
        condition_type: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            condition_type,
            holds: false,
            reason,
            message: message.into(),
        }
    }
}

/// How far a resource is, in the terms of kstatus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It does what its spec says.
    Ready(String),
    /// The operator goes on by itself.
    Reconciling {
        /// Why, for machines.
        reason: &'static str,
        /// Why, for people.
        message: String,
    },
    /// Nothing changes before a person does something.
    Stalled {
        /// Why, for machines.
        reason: &'static str,
        /// Why, and what to do, for people.
        message: String,
    },
    /// The spec itself says that it is out of service.
    Off {
        /// Why, for machines.
        reason: &'static str,
        /// Why, for people.
        message: String,
    },
}

impl Progress {
    /// `Ready`, and `Reconciling` or `Stalled` while they hold.
    pub(crate) fn assertions(&self) -> Vec<Assertion> {
        match self {
            Self::Ready(message) => {
                vec![Assertion::is_true(
                    types::READY,
                    reasons::RECONCILED,
                    message,
                )]
            }
            Self::Reconciling { reason, message } => vec![
                Assertion::is_false(types::READY, reason, message),
                Assertion::is_true(types::RECONCILING, reason, message),
            ],
            Self::Stalled { reason, message } => vec![
                Assertion::is_false(types::READY, reason, message),
                Assertion::is_true(types::STALLED, reason, message),
            ],
            Self::Off { reason, message } => {
                vec![Assertion::is_false(types::READY, reason, message)]
            }
        }
    }
}

/// The conditions to write: exactly those asserted. The transition time stays
/// where the status stays.
pub(crate) fn conditions(
    previous: &[Condition],
    assertions: Vec<Assertion>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let convert = |assertion: Assertion| {
        let status = if assertion.holds { "True" } else { "False" };
        let unchanged = previous.iter().find(|condition| {
            condition.type_ == assertion.condition_type && condition.status == status
        });
        Condition {
            last_transition_time: unchanged.map_or(Time(now), |condition| {
                condition.last_transition_time.clone()
            }),
            message: assertion
                .message
                .chars()
                .take(MAX_MESSAGE_CHARACTERS)
                .collect(),
            observed_generation: generation,
            reason: assertion.reason.to_owned(),
            status: status.to_owned(),
            type_: assertion.condition_type.to_owned(),
        }
    };
    assertions.into_iter().map(convert).collect()
}

/// The conditions of a paused resource: as they were, and that nothing goes on.
pub(crate) fn paused(
    previous: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let message = format!(
        "reconciliation is stopped by the annotation {}: remove it to go on",
        names::PAUSED_ANNOTATION
    );
    let assertion = Assertion::is_true(types::RECONCILING, reasons::PAUSED, message);
    let others = previous
        .iter()
        .filter(|condition| condition.type_ != types::RECONCILING);
    let paused = conditions(previous, vec![assertion], generation, now);
    others.cloned().chain(paused).collect()
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
