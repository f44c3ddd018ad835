use super::*;

fn refused(reports: &Reports, organization: &str, why: &str) {
    reports.refused(organization, None, why);
}

fn names(page: &ReportPage) -> Vec<&str> {
    page.organizations
        .iter()
        .map(|report| report.organization.as_str())
        .collect()
}

#[test]
fn a_follower_is_told_everything_first_and_then_what_changed() {
    let reports = Reports::default();
    refused(&reports, "acme", "first");
    refused(&reports, "globex", "first");
    let first = reports.page(None, 10);
    assert!(first.full);
    assert_eq!(names(&first), ["acme", "globex"]);

    refused(&reports, "acme", "second");
    let news = reports.page(Some((first.instance, first.cursor)), 10);
    assert!(!news.full);
    assert_eq!(names(&news), ["acme"]);
    assert!(names(&reports.page(Some((news.instance, news.cursor)), 10)).is_empty());
}

#[test]
fn pages_together_tell_everything() {
    let reports = Reports::default();
    let expected: Vec<_> = (0..5).map(|number| format!("org-{number}")).collect();
    for organization in &expected {
        refused(&reports, organization, "no");
    }
    let (mut told, mut after) = (Vec::new(), None);
    loop {
        let page = reports.page(after, 2);
        assert_eq!(
            page.full,
            after.is_none(),
            "only the first page begins anew"
        );
        told.extend(names(&page).into_iter().map(str::to_owned));
        after = Some((page.instance, page.cursor));
        if !page.more {
            break;
        }
    }
    assert_eq!(told, expected);
}

#[test]
fn what_did_not_change_is_no_news() {
    let reports = Reports::default();
    refused(&reports, "acme", "no");
    let page = reports.page(None, 10);
    refused(&reports, "acme", "no");
    reports.removed("never-there");
    assert!(names(&reports.page(Some((page.instance, page.cursor)), 10)).is_empty());
}

#[test]
fn an_organization_that_is_gone_is_news() {
    let reports = Reports::default();
    refused(&reports, "acme", "no");
    let page = reports.page(None, 10);
    reports.removed("acme");
    let news = reports.page(Some((page.instance, page.cursor)), 10);
    assert_eq!(names(&news), ["acme"]);
    assert!(news.organizations[0].refused.is_none());
}

#[test]
fn whoever_followed_another_process_begins_anew() {
    let reports = Reports::default();
    refused(&reports, "acme", "no");
    let page = reports.page(Some((Uuid::new_v4(), 1)), 10);
    assert!(page.full);
    assert_eq!(names(&page), ["acme"]);
}

#[test]
fn organizations_that_are_gone_are_forgotten_in_the_end_and_late_followers_begin_anew() {
    let reports = Reports::default();
    let late = reports.page(None, 10);
    for number in 0..=MOST_GONE {
        let organization = format!("org-{number}");
        refused(&reports, &organization, "no");
        reports.removed(&organization);
    }
    assert_eq!(reports.state().reports.len(), MOST_GONE);
    let page = reports.page(Some((late.instance, late.cursor)), 10);
    assert!(page.full, "it cannot know that the first one is gone");
}
