use super::*;

fn clock(fingerprint: &str, is_told: bool) -> Wanted {
    Wanted {
        namespace: "org-acme".to_owned(),
        name: "clock".to_owned(),
        organization: "acme".to_owned(),
        fingerprint: fingerprint.to_owned(),
        is_told,
    }
}

fn offering(count: u32) -> Outcome {
    Ok(DiscoveredTools {
        count,
        ..DiscoveredTools::default()
    })
}

/// The only server that is due.
fn due(tools: &Tools) -> Due {
    let (mut due, _) = tools.due(8);
    due.pop().expect("the server is due")
}

#[test]
fn a_new_server_is_asked_once_and_its_tools_are_known_then() {
    let tools = Tools::default();
    assert_eq!(tools.found(clock("1", false)), None);
    let asked = due(&tools);
    assert!(tools.due(8).0.is_empty(), "it is being asked already");
    assert!(tools.asked(&asked, offering(2)));
    assert_eq!(tools.found(clock("1", false)), Some(offering(2)));
    assert!(tools.due(8).0.is_empty(), "it was asked a moment ago");
}

#[test]
fn a_server_that_is_configured_anew_is_asked_anew() {
    let tools = Tools::default();
    tools.found(clock("1", false));
    let late = due(&tools);
    assert_eq!(tools.found(clock("2", false)), None);
    assert!(
        !tools.asked(&late, offering(2)),
        "that was of the configuration before"
    );
    assert_eq!(tools.found(clock("2", false)), None);
    assert!(tools.asked(&due(&tools), offering(3)));
}

#[test]
fn a_server_whose_status_tells_its_tools_is_in_no_hurry_after_a_restart() {
    let tools = Tools::default();
    tools.found(clock("1", true));
    let (due, pause) = tools.due(8);
    assert!(due.is_empty());
    assert!(pause >= REFRESH / 4, "it is asked within {pause:?}");
}

#[test]
fn the_same_answer_is_no_news() {
    let tools = Tools::default();
    tools.found(clock("1", false));
    let asked = due(&tools);
    assert!(tools.asked(&asked, Err("no".to_owned())));
    assert!(!tools.asked(&asked, Err("no".to_owned())));
}

#[test]
fn a_server_that_nobody_could_ask_is_due_again_after_a_pause() {
    let tools = Tools::default();
    tools.found(clock("1", false));
    tools.put_off(&due(&tools));
    let (due, pause) = tools.due(8);
    assert!(due.is_empty() && pause <= FIRST_PAUSE);
    assert_eq!(tools.found(clock("1", false)), None);
}

#[test]
fn no_more_servers_are_asked_at_one_time_than_may_be() {
    let tools = Tools::default();
    for name in ["a", "b", "c"] {
        tools.found(Wanted {
            name: name.to_owned(),
            ..clock("1", false)
        });
    }
    assert_eq!(tools.due(2).0.len(), 2);
}
