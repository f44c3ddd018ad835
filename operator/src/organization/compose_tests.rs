use agentapi_crds::tenant_config::PromptLevel;

use super::{ComposeError, Members, compose};
use crate::fixtures::{prompt, valid};
use crate::prompt_policy::validate;

#[test]
fn a_document_that_would_not_fit_is_refused_not_cut() {
    let text = format!("template: '{}'", "x".repeat(60_000));
    let policies = (0..16).map(|index| {
        let name = format!("p{index}");
        let policy = validate(&prompt("org-acme", &name, &text), PromptLevel::Organization);
        ((PromptLevel::Organization, name), policy)
    });
    let members = Members {
        prompts: policies.collect(),
        ..Members::default()
    };
    let result = compose(&valid(""), &members, None);
    assert!(
        matches!(result, Err(ComposeError::TooLarge { bytes }) if bytes > 900 * 1024),
        "{result:?}"
    );
}

#[test]
fn whether_users_may_add_servers_is_in_the_document() {
    for (spec, expected) in [("", false), ("userServers: true", true)] {
        let document = compose(&valid(spec), &Members::default(), None).unwrap();
        assert_eq!(document.user_servers, expected, "{spec}");
    }
}
