use super::desired;
use crate::fixtures::{organization, prompt, remote, secret, server};
use crate::inputs::Inputs;
use crate::object::Kind;
use crate::settings::{Placement, Settings};

fn inputs() -> Inputs {
    Inputs {
        organizations: vec![organization("")],
        servers: vec![
            remote("a"),
            server(
                "box",
                "container: {image: 'registry.example.com/box:1', port: 80}",
            ),
        ],
        prompts: vec![prompt("org-acme", "p", "template: hi")],
        secrets: [secret("token")].into_iter().collect(),
        ..Inputs::default()
    }
}

/// Kind and name of every finding.
fn findings(inputs: &Inputs, placement: Placement) -> Vec<(&'static str, String)> {
    let found = desired(inputs, &Settings::new(placement)).findings;
    found
        .into_iter()
        .map(|finding| (finding.kind, finding.name))
        .collect()
}

#[test]
fn a_sound_cluster_has_a_document_and_no_findings() {
    let desired = desired(&inputs(), &Settings::new(Placement::Cluster));
    assert_eq!((desired.documents.len(), desired.findings), (1, Vec::new()));
}

#[test]
fn workloads_are_planned_in_a_cluster() {
    let desired = desired(&inputs(), &Settings::new(Placement::Cluster));
    assert!(
        desired
            .objects
            .iter()
            .any(|object| object.kind == Kind::Deployment)
    );
}

#[test]
fn containers_are_a_finding_in_the_embedded_mode() {
    let expected = [("McpServer", "box".to_owned())];
    assert_eq!(findings(&inputs(), Placement::Embedded), expected);
}

#[test]
fn resources_of_no_organization_are_findings() {
    let mut inputs = inputs();
    inputs.organizations.clear();
    let expected = ["a", "box"].map(|name| ("McpServer", name.to_owned()));
    let found = findings(&inputs, Placement::Cluster);
    assert_eq!((&found[..2], found.len()), (&expected[..], 3));
}

#[test]
fn a_bad_global_prompt_is_found_once() {
    let mut inputs = inputs();
    inputs.prompts = vec![prompt("agentapi-system", "p", "template: '{{ nothing }}'")];
    let expected = [("PromptPolicy", "p".to_owned())];
    assert_eq!(findings(&inputs, Placement::Cluster), expected);
}
