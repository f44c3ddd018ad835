//! The condition `Applied` of an organization: whether the gateway serves it
//! from the document that was written last.

use agentapi_crds::OrganizationStatus;
use agentapi_crds::conditions::{self, reasons, types};

use super::seen::Verdict;
use crate::conditions::Assertion;

/// The condition for a verdict about `revision`. Where nobody has said anything
/// yet, what was written about the same revision before still stands: a restart
/// of the operator, or an outage of the gateway, takes nothing back.
pub(crate) fn assertion(
    verdict: &Verdict,
    revision: &str,
    previous: Option<&OrganizationStatus>,
) -> Assertion {
    match verdict {
        Verdict::Everywhere => applied(),
        Verdict::Refused(why) => Assertion::is_false(
            types::APPLIED,
            reasons::REFUSED,
            format!("the gateway does not serve this revision and goes on with the one before: {why}"),
        ),
        Verdict::Pending => Assertion::is_false(
            types::APPLIED,
            reasons::PENDING,
            "not every replica of the gateway serves this revision yet",
        ),
        Verdict::Unknown => before(revision, previous).unwrap_or_else(|| {
            Assertion::is_false(
                types::APPLIED,
                reasons::GATEWAY_UNAVAILABLE,
                "no replica of the gateway has answered yet: is it running, and may the operator reach its operations port?",
            )
        }),
    }
}

fn applied() -> Assertion {
    Assertion::is_true(
        types::APPLIED,
        reasons::APPLIED,
        "every replica of the gateway serves this revision",
    )
}

fn before(revision: &str, previous: Option<&OrganizationStatus>) -> Option<Assertion> {
    let previous = previous.filter(|status| status.revision.as_deref() == Some(revision))?;
    let condition = conditions::find(&previous.conditions, types::APPLIED)?;
    if condition.status == "True" {
        return Some(applied());
    }
    let reason = [reasons::REFUSED, reasons::PENDING]
        .into_iter()
        .find(|reason| *reason == condition.reason)?;
    Some(Assertion::is_false(
        types::APPLIED,
        reason,
        condition.message.clone(),
    ))
}

/// Whether a status says of its own revision what the verdict about it says.
pub(super) fn is_told(status: &OrganizationStatus, verdict: &Verdict) -> bool {
    let Some(revision) = status.revision.as_deref() else {
        return true;
    };
    let wanted = assertion(verdict, revision, Some(status));
    conditions::find(&status.conditions, types::APPLIED).is_some_and(|found| {
        found.status == if wanted.holds { "True" } else { "False" }
            && found.reason == wanted.reason
            && found.message == wanted.message
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn written(verdict: &Verdict) -> OrganizationStatus {
        let assertions = vec![assertion(verdict, "1", None)];
        OrganizationStatus {
            conditions: crate::conditions::conditions(&[], assertions, Some(1), Timestamp::now()),
            revision: Some("1".to_owned()),
            ..OrganizationStatus::default()
        }
    }

    #[test]
    fn silence_takes_nothing_back_that_was_said_of_the_same_revision() {
        for verdict in [
            Verdict::Everywhere,
            Verdict::Pending,
            Verdict::Refused("no".to_owned()),
            Verdict::Unknown,
        ] {
            let status = written(&verdict);
            assert!(is_told(&status, &Verdict::Unknown), "{verdict:?}");
        }
    }

    #[test]
    fn silence_about_a_new_revision_is_told() {
        let status = written(&Verdict::Everywhere);
        let found = assertion(&Verdict::Unknown, "2", Some(&status));
        assert_eq!(found.reason, reasons::GATEWAY_UNAVAILABLE);
    }

    #[test]
    fn news_are_told() {
        let status = written(&Verdict::Pending);
        assert!(!is_told(&status, &Verdict::Everywhere));
        assert!(!is_told(&status, &Verdict::Refused("no".to_owned())));
        assert!(is_told(&status, &Verdict::Pending));
    }
}
