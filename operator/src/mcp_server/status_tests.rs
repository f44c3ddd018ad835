use agentapi_crds::conditions::{find, reasons, types};
use agentapi_crds::internal_api::DiscoveredTools;
use agentapi_crds::{McpServer, McpServerStatus};
use k8s_openapi::jiff::Timestamp;

use super::{Applied, Replicas, Running, status};
use crate::apply::WriteError;
use crate::fixtures::{remote, secret, settings, valid};
use crate::gateway_api::Outcome;
use crate::inputs::Secrets;
use crate::mcp_server::{Surroundings, ValidatedServer, disabled, validate};
use crate::problem::{Member, Problem};

fn valid_member() -> Member<ValidatedServer> {
    let secrets: Secrets = [secret("token")].into_iter().collect();
    let surroundings = Surroundings {
        organization: &valid(""),
        siblings: &[],
        secrets: &secrets,
        settings: &settings(),
    };
    validate(&remote("clock"), &surroundings)
}

fn told(member: &Member<ValidatedServer>, applied: Applied) -> McpServerStatus {
    status(
        &remote("clock"),
        member,
        &applied,
        None,
        Timestamp::UNIX_EPOCH,
    )
}

/// Status and reason of `Ready`, and which of the kstatus conditions are there.
fn summary(status: &McpServerStatus) -> (String, String, bool, bool) {
    let ready = find(&status.conditions, types::READY).expect("Ready is always there");
    (
        ready.status.clone(),
        ready.reason.clone(),
        find(&status.conditions, types::RECONCILING).is_some(),
        find(&status.conditions, types::STALLED).is_some(),
    )
}

fn expected(
    status: &str,
    reason: &str,
    reconciling: bool,
    stalled: bool,
) -> (String, String, bool, bool) {
    (status.to_owned(), reason.to_owned(), reconciling, stalled)
}

#[test]
fn a_valid_remote_server_is_ready() {
    let status = told(&valid_member(), Ok(Running::Nothing));
    assert_eq!(
        summary(&status),
        expected("True", reasons::RECONCILED, false, false)
    );
}

#[test]
fn the_status_says_where_the_server_is() {
    let status = told(&valid_member(), Ok(Running::Nothing));
    assert_eq!(
        status.endpoint.as_deref(),
        Some("https://clock.example.com/mcp")
    );
}

#[test]
fn a_workload_without_its_replicas_is_reconciling() {
    let replicas = Replicas {
        wanted: 2,
        available: 1,
        waiting_for: Some("pod clock-1 is not scheduled".to_owned()),
    };
    let status = told(&valid_member(), Ok(Running::Replicas(replicas)));
    assert_eq!(
        summary(&status),
        expected("False", reasons::PROGRESSING, true, false)
    );
    let ready = find(&status.conditions, types::READY).expect("Ready is always there");
    assert_eq!(
        ready.message,
        "1 of 2 replicas are available: pod clock-1 is not scheduled"
    );
}

#[test]
fn a_server_of_a_suspended_organization_is_off_wherever_it_runs() {
    let status = told(&valid_member(), Ok(Running::Suspended));
    assert_eq!(
        summary(&status),
        expected("False", reasons::SUSPENDED, false, false)
    );
}

#[test]
fn a_disabled_server_is_neither_stalled_nor_reconciling() {
    let status = told(&Member::Withdrawn(disabled()), Ok(Running::Nothing));
    assert_eq!(
        summary(&status),
        expected("False", reasons::DISABLED, false, false)
    );
}

#[test]
fn a_server_without_its_secret_is_stalled() {
    let problem = Problem::new(reasons::SECRET_UNAVAILABLE, "spec.auth", "gone");
    let status = told(&Member::Withdrawn(problem), Ok(Running::Nothing));
    assert_eq!(
        summary(&status),
        expected("False", reasons::SECRET_UNAVAILABLE, false, true)
    );
}

#[test]
fn an_object_of_somebody_else_stalls_the_server() {
    let taken = WriteError::NotOurs {
        object: "Service org-acme/clock".to_owned(),
        advice: "rename it",
    };
    let status = told(&valid_member(), Err(taken));
    assert_eq!(
        summary(&status),
        expected("False", reasons::NAME_CONFLICT, false, true)
    );
}

#[test]
fn tools_that_others_reported_stay() {
    let mut server = remote("clock");
    server.status = Some(McpServerStatus {
        tools: Some(4),
        ..McpServerStatus::default()
    });
    let status = status(
        &server,
        &valid_member(),
        &Ok(Running::Nothing),
        None,
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(status.tools, Some(4));
}

/// The status where the gateway found this.
fn found(before: &McpServer, tools: Option<Outcome>) -> McpServerStatus {
    status(
        before,
        &valid_member(),
        &Ok(Running::Nothing),
        tools.as_ref(),
        Timestamp::UNIX_EPOCH,
    )
}

fn echo() -> Outcome {
    Ok(DiscoveredTools {
        count: 1,
        digests: [("echo".to_owned(), "sha256:1".to_owned())].into(),
    })
}

#[test]
fn what_a_server_offers_is_told() {
    let status = found(&remote("clock"), Some(echo()));
    assert_eq!((status.tools, status.digests.len()), (Some(1), 1));
    let condition = find(&status.conditions, types::TOOLS_DISCOVERED).expect("it is told");
    assert_eq!(condition.status, "True");
}

#[test]
fn a_server_that_does_not_answer_keeps_what_was_found_and_stays_ready() {
    let mut server = remote("clock");
    server.status = Some(found(&server, Some(echo())));
    let status = found(&server, Some(Err("no connection".to_owned())));
    assert_eq!(status.tools, Some(1));
    let condition = find(&status.conditions, types::TOOLS_DISCOVERED).expect("it is told");
    assert_eq!(
        (condition.reason.as_str(), condition.message.as_str()),
        (reasons::DISCOVERY_FAILED, "no connection")
    );
    assert_eq!(
        summary(&status),
        expected("True", reasons::RECONCILED, false, false)
    );
}

#[test]
fn until_the_gateway_has_asked_what_was_found_before_stands_as_it_was_written() {
    let mut server = remote("clock");
    server.metadata.generation = Some(1);
    let before = found(&server, Some(echo()));
    server.status = Some(before.clone());
    server.metadata.generation = Some(2);
    let status = found(&server, None);
    assert_eq!(status.tools, Some(1));
    assert_eq!(
        find(&status.conditions, types::TOOLS_DISCOVERED),
        find(&before.conditions, types::TOOLS_DISCOVERED),
        "it is told of the generation it was found for"
    );
}

#[test]
fn a_disabled_server_offers_nothing() {
    let mut server = remote("clock");
    server.status = Some(found(&server, Some(echo())));
    let disabled = Member::Withdrawn(disabled());
    let now = Timestamp::UNIX_EPOCH;
    let status = status(&server, &disabled, &Ok(Running::Nothing), None, now);
    assert_eq!((status.tools, status.digests.len()), (None, 0));
    assert!(find(&status.conditions, types::TOOLS_DISCOVERED).is_none());
}
