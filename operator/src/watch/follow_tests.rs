use super::{Known, Touched};

fn touched(name: &str) -> Touched {
    Touched {
        namespace: None,
        name: name.to_owned(),
        organization: None,
        server: None,
    }
}

fn names(touched: Vec<Touched>) -> Vec<String> {
    let mut names: Vec<_> = touched.into_iter().map(|touched| touched.name).collect();
    names.sort();
    names
}

/// What is known after a first list of `a` and `b`.
fn listed() -> Known {
    let mut known = Known::default();
    known.begin();
    known.list(touched("a"), "1".to_owned());
    known.list(touched("b"), "1".to_owned());
    known.finish();
    known
}

#[test]
fn a_change_is_told() {
    assert_eq!(
        listed().apply(touched("a"), "2".to_owned()),
        Some(touched("a"))
    );
}

#[test]
fn what_is_as_it_was_is_not_told() {
    assert_eq!(listed().apply(touched("a"), "1".to_owned()), None);
}

#[test]
fn a_list_tells_what_changed_appeared_and_went() {
    let mut known = listed();
    known.begin();
    known.list(touched("a"), "2".to_owned());
    known.list(touched("c"), "1".to_owned());
    assert_eq!(names(known.finish()), ["a", "b", "c"]);
}

#[test]
fn a_list_does_not_tell_what_stayed() {
    let mut known = listed();
    known.begin();
    known.list(touched("a"), "1".to_owned());
    known.list(touched("b"), "1".to_owned());
    assert_eq!(names(known.finish()), Vec::<String>::new());
}

#[test]
fn what_was_removed_and_comes_back_is_told() {
    let mut known = listed();
    known.remove(touched("a"));
    assert_eq!(
        known.apply(touched("a"), "1".to_owned()),
        Some(touched("a"))
    );
}
