use agentapi_crds::internal_api::{Refused, Served};
use uuid::Uuid;

use super::*;

fn report(organization: &str, revision: &str) -> OrganizationReport {
    OrganizationReport {
        organization: organization.to_owned(),
        served: Some(Served {
            tenant_id: Uuid::nil(),
            revision: revision.to_owned(),
        }),
        refused: None,
    }
}

fn page(full: bool, organizations: Vec<OrganizationReport>) -> ReportPage {
    ReportPage {
        instance: Uuid::nil(),
        cursor: 1,
        full,
        more: false,
        synced: true,
        organizations,
    }
}

#[test]
fn a_revision_is_applied_when_every_replica_serves_it() {
    let mut seen = Seen::default();
    assert_eq!(seen.verdict("acme", "1"), Verdict::Unknown);
    seen.note("a", page(true, vec![report("acme", "1")]));
    assert_eq!(seen.verdict("acme", "1"), Verdict::Everywhere);
    seen.note("b", page(true, vec![report("acme", "0")]));
    assert_eq!(seen.verdict("acme", "1"), Verdict::Pending);
    let told = seen.note("b", page(false, vec![report("acme", "1")]));
    assert_eq!(told, Touched::Only(vec!["acme".to_owned()]));
    assert_eq!(seen.verdict("acme", "1"), Verdict::Everywhere);
}

#[test]
fn a_replica_that_has_not_read_everything_yet_is_not_counted() {
    let mut seen = Seen::default();
    seen.note("a", page(true, vec![report("acme", "1")]));
    let mut starting = page(true, vec![]);
    starting.synced = false;
    seen.note("b", starting.clone());
    assert_eq!(seen.verdict("acme", "1"), Verdict::Everywhere);
    starting = page(false, vec![]);
    assert_eq!(seen.note("b", starting), Touched::All);
    assert_eq!(seen.verdict("acme", "1"), Verdict::Pending);
}

#[test]
fn a_replica_that_is_gone_is_not_waited_for() {
    let mut seen = Seen::default();
    seen.note("a", page(true, vec![report("acme", "1")]));
    seen.note("b", page(true, vec![]));
    assert_eq!(seen.verdict("acme", "1"), Verdict::Pending);
    seen.forget("b");
    assert_eq!(seen.verdict("acme", "1"), Verdict::Everywhere);
}

#[test]
fn a_refusal_counts_for_the_revision_that_was_refused() {
    let mut seen = Seen::default();
    let mut refused = report("acme", "1");
    refused.refused = Some(Refused {
        revision: Some("2".to_owned()),
        message: "no".to_owned(),
    });
    seen.note("a", page(true, vec![refused]));
    assert_eq!(seen.verdict("acme", "2"), Verdict::Refused("no".to_owned()));
    assert_eq!(seen.verdict("acme", "1"), Verdict::Everywhere);
    assert_eq!(seen.verdict("acme", "3"), Verdict::Pending);
}

#[test]
fn a_replica_that_begins_anew_is_counted_when_it_said_everything() {
    let mut seen = Seen::default();
    seen.note("a", page(true, vec![report("acme", "1")]));
    let mut first = page(true, vec![report("globex", "1")]);
    first.more = true;
    seen.note("a", first);
    assert_eq!(seen.verdict("acme", "1"), Verdict::Unknown);
    seen.note("a", page(false, vec![report("acme", "1")]));
    assert_eq!(seen.verdict("acme", "1"), Verdict::Everywhere);
}

#[test]
fn an_organization_that_is_no_longer_served_is_forgotten() {
    let mut seen = Seen::default();
    seen.note("a", page(true, vec![report("acme", "1")]));
    assert_eq!(seen.serving("acme"), ["a"]);
    let gone = OrganizationReport {
        served: None,
        ..report("acme", "1")
    };
    seen.note("a", page(false, vec![gone]));
    assert!(seen.serving("acme").is_empty());
}
