use proptest::prelude::*;

use super::*;
use crate::domain::mcp::splice::{Edit, splice};

fn refused(body: &str) -> i64 {
    match Envelope::peek(body.as_bytes()) {
        Ok(envelope) => panic!("accepted as {:?}: {body}", envelope.kind),
        Err(malformed) => RpcError::from(&malformed).code,
    }
}

#[test]
fn a_request_shows_method_id_and_name_as_written() {
    let body = br#"{"jsonrpc":"2.0", "id": "a\u0062", "method":"tools/call", "params":{"name":"say \"hi\"","arguments":{}}}"#;
    let envelope = Envelope::peek(body).unwrap();
    let Kind::Request { method, id } = &envelope.kind else {
        panic!("{:?}", envelope.kind)
    };
    assert_eq!(method, "tools/call");
    assert_eq!(id.get(), r#""a\u0062""#);
    assert_eq!(envelope.name().unwrap(), r#"say "hi""#);
}

#[test]
fn replacing_the_name_keeps_every_other_byte() {
    let body = r#"{ "x-vendor":[1.0,1e3], "jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"b":1,"a":2},"name" : "notes__add" } }"#;
    let envelope = Envelope::peek(body.as_bytes()).unwrap();
    let renamed = splice(body, &[Edit::string(envelope.name_span().unwrap(), "add")]);
    assert_eq!(renamed, body.replace("notes__add", "add"));
}

#[test]
fn the_progress_token_is_found_in_the_metadata() {
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","_meta":{"progressToken":"p-1"}}}"#;
    assert_eq!(
        Envelope::peek(body).unwrap().progress_token(),
        Some("\"p-1\"")
    );
}

#[test]
fn malformed_messages_get_the_specified_error() {
    for (body, expected) in [
        ("", -32700),
        ("{\"jsonrpc\":", -32700),
        ("{} trailing", -32700),
        ("[]", -32600),
        ("\"text\"", -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
            -32600,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            -32600,
        ),
    ] {
        assert_eq!(refused(body), expected, "{body}");
    }
}

#[test]
fn keys_that_two_readers_may_read_differently_are_refused() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"a":1,"A":2}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"y":1,"y":2}]}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","a\u0000b":1}"#,
    ] {
        assert_eq!(refused(body), -32600, "{body}");
    }
}

#[test]
fn arguments_belong_to_the_tool_and_may_differ_by_case() {
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","arguments":{"id":1,"ID":2}}}"#;
    assert!(Envelope::peek(body).is_ok());
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{}}}}}"#,
        "[".repeat(100_000)
    );
    assert_eq!(refused(&deep), -32700);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Envelope::peek(&body);
    }

    #[test]
    fn any_name_survives_being_replaced_and_replaced_back(name in ".{0,40}", other in ".{0,40}") {
        let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}}).to_string();
        let there = {
            let envelope = Envelope::peek(body.as_bytes()).unwrap();
            splice(&body, &[Edit::string(envelope.name_span().unwrap(), &other)])
        };
        let envelope = Envelope::peek(there.as_bytes()).unwrap();
        prop_assert_eq!(envelope.name().unwrap(), other);
        prop_assert_eq!(splice(&there, &[Edit::string(envelope.name_span().unwrap(), &name)]), body);
    }

    #[test]
    fn a_duplicate_is_refused_wherever_it_stands(depth in 0usize..20, key in "[a-z]{1,8}") {
        let inner = format!(r#"{{"{key}":1,"{key}":2}}"#);
        let nested = format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"arguments":{nested}}}}}"#);
        prop_assert_eq!(refused(&body), -32600);
    }
}
