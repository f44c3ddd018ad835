use agentapi_crds::conditions::{find, reasons, types};
use agentapi_crds::{McpServer, OrganizationStatus};
use k8s_openapi::jiff::Timestamp;

use super::{deleting, status};
use crate::apply::WriteError;
use crate::fixtures::{organization, remote, server, settings};
use crate::gateway_api::Verdict;
use crate::inputs::Secrets;
use crate::organization::{View, assess};

fn told(spec: &str, servers: &[McpServer], applied: Result<(), WriteError>) -> OrganizationStatus {
    let organization = organization(spec);
    let servers: Vec<_> = servers.iter().collect();
    let assessment = assess(&View {
        organization: &organization,
        all: &[],
        servers: &servers,
        prompts: &[],
        secrets: &Secrets::default(),
        unreachable: &Default::default(),
        live: None,
        settings: &settings(),
    });
    status(
        &organization,
        &assessment,
        &applied,
        |_| None,
        Timestamp::UNIX_EPOCH,
    )
}

/// Status and reason of a condition.
fn condition(status: &OrganizationStatus, condition_type: &str) -> Option<(String, String)> {
    find(&status.conditions, condition_type)
        .map(|condition| (condition.status.clone(), condition.reason.clone()))
}

fn expected(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.to_owned(), reason.to_owned()))
}

#[test]
fn an_applied_organization_is_ready() {
    let status = told("", &[remote("a")], Ok(()));
    assert_eq!(
        condition(&status, types::READY),
        expected("True", reasons::RECONCILED)
    );
}

#[test]
fn the_printed_columns_are_filled() {
    let status = told("", &[remote("a")], Ok(()));
    let found = (
        status.namespace.as_deref(),
        status.servers,
        status.revision.map(|text| text.len()),
    );
    assert_eq!(found, (Some("org-acme"), Some(1), Some(64)));
}

#[test]
fn a_bad_server_is_named_and_leaves_the_organization_ready() {
    let bad = server(
        "bad",
        "remote: {url: 'https://b.example.com'}\ntools: {pin: Warn}",
    );
    let status = told("", &[remote("a"), bad], Ok(()));
    let ready = find(&status.conditions, types::READY).expect("Ready is always there");
    assert_eq!(
        (
            ready.status.as_str(),
            ready.message.contains("not served as written: bad")
        ),
        ("True", true)
    );
}

#[test]
fn a_suspended_organization_is_not_ready_and_not_stalled() {
    let status = told("suspended: true", &[], Ok(()));
    let found = (
        condition(&status, types::READY),
        condition(&status, types::STALLED),
    );
    assert_eq!(found, (expected("False", reasons::SUSPENDED), None));
}

#[test]
fn an_invalid_organization_is_stalled() {
    let status = told("sessions: {idleTimeout: 2h, maxLifetime: 1h}", &[], Ok(()));
    assert_eq!(
        condition(&status, types::STALLED),
        expected("True", reasons::INVALID_SPEC)
    );
}

#[test]
fn a_foreign_namespace_stalls_the_organization() {
    let taken = WriteError::NotOurs {
        object: "Namespace org-acme".to_owned(),
        advice: "rename it",
    };
    let status = told("", &[], Err(taken));
    assert_eq!(
        condition(&status, types::STALLED),
        expected("True", reasons::NAME_CONFLICT)
    );
}

#[test]
fn a_namespace_on_its_way_out_is_waited_for() {
    let going = WriteError::Terminating {
        object: "Namespace org-acme".to_owned(),
    };
    let status = told("", &[], Err(going));
    assert_eq!(
        condition(&status, types::RECONCILING),
        expected("True", reasons::PROGRESSING)
    );
}

#[test]
fn egress_by_host_is_said_to_bind_the_gateway_only() {
    let status = told("network: {egress: [{host: api.example.com}]}", &[], Ok(()));
    assert_eq!(
        condition(&status, types::EGRESS_ENFORCED),
        expected("False", reasons::HOSTS_NOT_ENFORCED)
    );
}

#[test]
fn egress_by_range_is_enforced() {
    let status = told("network: {egress: [{cidr: 203.0.113.0/24}]}", &[], Ok(()));
    assert_eq!(
        condition(&status, types::EGRESS_ENFORCED),
        expected("True", reasons::ENFORCED)
    );
}

#[test]
fn fields_without_effect_are_told() {
    let status = told("models: {}", &[], Ok(()));
    assert_eq!(
        condition(&status, types::SUPPORTED),
        expected("False", reasons::NOT_SUPPORTED)
    );
}

#[test]
fn nothing_is_told_about_support_while_all_is_supported() {
    assert_eq!(condition(&told("", &[], Ok(())), types::SUPPORTED), None);
}

#[test]
fn what_deletion_waits_for_is_told() {
    let status = deleting(
        &organization(""),
        reasons::DELETING,
        "a pod of somebody",
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(
        condition(&status, types::DELETION_BLOCKED),
        expected("True", reasons::DELETING)
    );
}

/// The condition `Applied` after a good reconciliation, for what the gateway says.
fn applied(verdict: Option<Verdict>) -> Option<(String, String)> {
    let organization = organization("");
    let view = View {
        organization: &organization,
        all: &[],
        servers: &[],
        prompts: &[],
        secrets: &Secrets::default(),
        unreachable: &Default::default(),
        live: None,
        settings: &settings(),
    };
    let now = Timestamp::UNIX_EPOCH;
    let status = status(&organization, &assess(&view), &Ok(()), |_| verdict, now);
    let found = find(&status.conditions, types::APPLIED)?;
    Some((found.status.clone(), found.reason.clone()))
}

#[test]
fn what_the_gateway_says_of_the_revision_is_told() {
    for (verdict, expected) in [
        (Verdict::Everywhere, ("True", reasons::APPLIED)),
        (Verdict::Pending, ("False", reasons::PENDING)),
        (
            Verdict::Refused("no".to_owned()),
            ("False", reasons::REFUSED),
        ),
        (Verdict::Unknown, ("False", reasons::GATEWAY_UNAVAILABLE)),
    ] {
        let (status, reason) = expected;
        assert_eq!(
            applied(Some(verdict.clone())),
            Some((status.to_owned(), reason.to_owned())),
            "{verdict:?}"
        );
    }
}

#[test]
fn where_the_gateway_is_not_asked_nothing_is_told_of_it() {
    assert_eq!(applied(None), None);
}
