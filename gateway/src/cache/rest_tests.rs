//! What is read of a URL and of answers. The protocol itself is tested against a real server (e2e).

use super::*;

fn refused(url: &str) -> bool {
    matches!(Rest::open(url), Err(CacheError::Url))
}

#[test]
fn a_token_is_sent_over_tls_or_on_this_machine_only() {
    for url in [
        "https://:token@redis.example",
        "http://:token@127.0.0.1:8079",
        "http://:token@[::1]:8079",
        "http://:token@localhost",
    ] {
        assert!(!refused(url), "{url} is refused");
    }
    for url in [
        "http://:token@redis.example",
        "http://:token@10.0.0.1",
        "http://:token@localhost.example",
        "https://redis.example",
        "https://:@redis.example",
        "redis://:token@redis.example",
    ] {
        assert!(refused(url), "{url} is taken");
    }
}

#[test]
fn the_token_is_sent_as_it_was_given_and_shown_to_nobody() {
    let url = Url::parse("https://:AX_s%2Bo=@redis.example").unwrap();
    let value = authorization(&url).unwrap();
    assert_eq!(value, "Bearer AX_s+o=");
    assert!(value.is_sensitive());
}

#[test]
fn an_unknown_script_is_told_apart_whatever_stands_before_it() {
    let said = "Failed to execute Redis command: NOSCRIPT No matching script.";
    let error = server_error(said.to_owned());
    assert_eq!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::NoScript),
        "{error}"
    );
}

#[test]
fn answers_become_what_redis_itself_would_have_answered() {
    let json = serde_json::json!([1, "text", null, [2]]);
    let value = value_of(json).unwrap();
    let expected = Value::Array(vec![
        Value::Int(1),
        Value::BulkString(b"text".to_vec()),
        Value::Nil,
        Value::Array(vec![Value::Int(2)]),
    ]);
    assert_eq!(value, expected);
    assert!(value_of(serde_json::json!(1.5)).is_err());
    assert!(value_of(serde_json::json!({})).is_err());
}
