use regex::Regex;

use super::*;

#[test]
fn units_add_up() {
    assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(parse("2s500ms"), Ok(Duration::from_millis(2500)));
    assert_eq!(parse("24h"), Ok(Duration::from_secs(86_400)));
}

#[test]
fn what_is_no_duration_is_refused_with_an_example() {
    let error = parse("30 minutes").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`30 minutes` is not a duration: write numbers with h, m, s, ms in that order, for example 1h30m or 30s"
    );
}

#[test]
fn the_parser_accepts_what_the_schema_accepts() {
    let pattern = Regex::new(PATTERN).unwrap();
    for text in [
        "1s",
        "30m",
        "24h",
        "1h30m",
        "1h1m1s1ms",
        "5ms",
        "0s",
        "999999h",
        "1000000h",
        "1m1h",
        "1s1s",
        "1.5h",
        "-1s",
        "+1s",
        "1",
        "s",
        "1 s",
        "1d",
        "1us",
        "1H",
        "1ms1s",
        "1m5ms",
        "٣s",
        "1s\n",
    ] {
        assert_eq!(
            parse(text).is_ok(),
            pattern.is_match(text),
            "parser and schema differ on {text:?}"
        );
    }
}

#[test]
fn the_empty_text_is_no_duration() {
    assert!(
        parse("").is_err(),
        "the schema refuses it by its least length"
    );
}
