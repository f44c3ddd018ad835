use super::*;
use crate::scratch::Scratch;

fn generated(workspace: &Workspace) -> Vec<Generated> {
    vec![Generated {
        path: workspace.path(CUSTOM_RESOURCES).join("organizations.yaml"),
        content: "kind: CustomResourceDefinition\n".to_owned(),
    }]
}

/// A workspace that holds what `generated` says, changed by `change`.
fn check(name: &str, change: impl FnOnce(&Path)) -> Result<()> {
    let scratch = Scratch::new(name);
    let workspace = Workspace::at(scratch.path());
    let files = generated(&workspace);
    files.iter().for_each(|file| write(file).unwrap());
    change(&workspace.path(CUSTOM_RESOURCES));
    compare(&workspace, &files)
}

#[test]
fn unchanged_files_pass() {
    check("same", |_| ()).unwrap();
}

#[test]
fn a_differing_file_is_named_with_the_command_to_run() {
    let error = check("differs", |folder| {
        fs::write(folder.join("organizations.yaml"), "kind: Other\n").unwrap()
    });
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("templates/organizations.yaml") && text.contains("cargo xtask generate"),
        "{text}"
    );
}

#[test]
fn a_missing_file_is_a_difference() {
    check("missing", |folder| {
        fs::remove_file(folder.join("organizations.yaml")).unwrap()
    })
    .unwrap_err();
}

#[test]
fn a_file_that_nothing_generates_any_more_is_named() {
    let error = check("leftover", |folder| {
        fs::write(folder.join("old.yaml"), "").unwrap()
    })
    .unwrap_err();
    assert!(error.to_string().contains("templates/old.yaml"), "{error}");
}
