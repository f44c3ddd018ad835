//! How problems of manifests are told to a person.

use std::path::Path;

use agentapi_operator::Finding;

use crate::failure::Failure;
use crate::manifests::{Manifests, ManifestsError};

/// The failure of a command whose manifests cannot be used.
pub(crate) fn manifests(folder: &Path, error: ManifestsError) -> Failure {
    let next = format!(
        "agentapi render --manifests {} # once they are corrected",
        folder.display()
    );
    match error {
        ManifestsError::Setup(_) => {
            Failure::new("this build cannot check manifests", "agentapi --version").because(error)
        }
        ManifestsError::Invalid(errors) => {
            let count = errors.len();
            let noun = if count == 1 { "error" } else { "errors" };
            let invalid = ManifestsError::Invalid(errors);
            Failure::invalid_input(format!("{count} {noun} in the manifests:\n{invalid}"), next)
        }
        ManifestsError::Read { .. } | ManifestsError::Empty(_) => Failure::invalid_input(
            "there are no manifests to use",
            "agentapi render --manifests config/samples",
        )
        .because(error),
    }
}

/// Tells on standard error what keeps resources from being served; everything else is.
pub(crate) fn findings(manifests: &Manifests, findings: &[Finding]) {
    for finding in findings {
        eprintln!("warning: {}", finding_line(manifests, finding));
    }
}

fn finding_line(manifests: &Manifests, finding: &Finding) -> String {
    let Finding {
        kind,
        namespace,
        name,
        problem,
    } = finding;
    let title = match namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    };
    match manifests.origin(finding) {
        Some(origin) => format!("{origin}: {title}: {problem}"),
        None => format!("{title}: {problem}"),
    }
}
