use super::*;

/// Loads a folder with these files.
fn load(files: &[(&str, &str)]) -> Result<Manifests, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let prefix = format!("{}/", folder.path().display());
    Manifests::load(folder.path()).map_err(|error| error.to_string().replace(&prefix, ""))
}

const ORGANIZATION: &str = "apiVersion: agentapi.dev/v1alpha1
kind: Organization
metadata: {name: acme}
spec: {}
";

fn samples() -> Manifests {
    Manifests::load(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../config/samples"
    )))
    .unwrap()
}

#[test]
fn the_samples_are_valid() {
    let names: Vec<_> = samples()
        .inputs
        .organizations
        .iter()
        .map(|found| found.metadata.name.clone())
        .collect();
    assert_eq!(names, [Some("acme".to_owned()), Some("globex".to_owned())]);
}

#[test]
fn an_organization_has_the_same_uid_in_every_run() {
    let manifests = load(&[("a.yaml", ORGANIZATION)]).unwrap();
    assert_eq!(
        manifests.inputs.organizations[0].metadata.uid.as_deref(),
        Some(
            Uuid::new_v5(&Uuid::NAMESPACE_URL, b"agentapi.dev/organization/acme")
                .to_string()
                .as_str()
        )
    );
}

#[test]
fn every_error_of_every_file_is_reported_with_file_document_and_field() {
    let bad_server = "apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {name: both, namespace: org-acme}
spec:
  remote: {url: 'http://127.0.0.1/mcp'}
  container: {image: x, port: 80}
";
    let errors = load(&[
        ("a.yaml", &format!("{ORGANIZATION}---\n{bad_server}")),
        ("b.yml", "kind: Gadget\napiVersion: v1\nmetadata: {name: x}\n"),
        ("c.json", r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"n"},"data":{"k":"!"}}"#),
        ("ignored.txt", "not: read"),
    ])
    .unwrap_err();
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines.len(), 3, "{errors}");
    assert!(
        lines[0]
            .starts_with("a.yaml: document 2: spec: exactly one of remote, container and stdio"),
        "{errors}"
    );
    assert!(
        lines[1].starts_with("b.yml: document 1: kind: unknown kind `Gadget`"),
        "{errors}"
    );
    assert!(
        lines[2].starts_with("c.json: document 1: data.k: must be base64"),
        "{errors}"
    );
}

#[test]
fn malformed_documents_are_errors() {
    let table = [
        ("not YAML", "a: [", "document 1"),
        ("a key twice", "kind: Secret\nkind: Secret\n", "duplicate"),
        ("no kind", "apiVersion: v1\n", "kind: is required"),
        ("a list", "- 1\n", "kind: is required"),
        (
            "a Secret without namespace",
            "{apiVersion: v1, kind: Secret, metadata: {name: s}}",
            "metadata.namespace: is required",
        ),
        (
            "an unknown field of a Secret",
            "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: n}, dta: {}}",
            "dta: unknown field",
        ),
        (
            "an old version",
            "{apiVersion: agentapi.dev/v1, kind: Organization, metadata: {name: acme}, spec: {}}",
            "apiVersion:",
        ),
    ];
    for (case, content, expected) in table {
        let error = load(&[("a.yaml", content)]).unwrap_err();
        assert!(
            error.contains(expected) && error.starts_with("a.yaml: document 1: "),
            "{case}: {error}"
        );
    }
}

#[test]
fn a_resource_that_is_there_twice_is_an_error_that_names_both_places() {
    let error = load(&[("a.yaml", ORGANIZATION), ("b.yaml", ORGANIZATION)]).unwrap_err();
    assert!(
        error.starts_with("b.yaml: document 1: metadata.name: Organization acme is there already"),
        "{error}"
    );
    assert!(error.ends_with("a.yaml: document 1"), "{error}");
}

#[test]
fn a_folder_without_manifests_is_an_error() {
    assert!(
        load(&[("notes.txt", "")])
            .unwrap_err()
            .contains("holds no manifests")
    );
}

#[test]
fn namespaces_and_empty_documents_are_passed_over() {
    let manifests = load(&[("a.yaml", &format!("---\n# nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: x}}\n---\n{ORGANIZATION}"))]).unwrap();
    assert_eq!(manifests.inputs.organizations.len(), 1);
}
