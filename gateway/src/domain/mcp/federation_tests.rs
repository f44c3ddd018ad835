use proptest::prelude::*;

use super::*;

const NOTES: Option<(&str, &str)> = Some(("notes", "notes"));

#[test]
fn a_renamed_tool_keeps_every_other_byte() {
    let result = r#"{"tools":[ {"inputSchema":{"type":"object","x":1.0}, "name" : "add", "execution":{"taskSupport":"forbidden"} } ]}"#;
    let (items, cursor) = rename_items(ListKind::Tools, result, NOTES, |_| true).unwrap();
    assert_eq!(
        items,
        [
            r#"{"inputSchema":{"type":"object","x":1.0}, "name" : "notes__add", "execution":{"taskSupport":"forbidden"} }"#
        ]
    );
    assert_eq!(cursor, None);
}

#[test]
fn a_withheld_tool_is_not_listed() {
    let result = r#"{"tools":[{"name":"add"},{"name":"drop"}],"nextCursor":"2"}"#;
    let (items, cursor) =
        rename_items(ListKind::Tools, result, None, |name| name != "drop").unwrap();
    assert_eq!(items, [r#"{"name":"add"}"#]);
    assert_eq!(cursor.as_deref(), Some("2"));
}

#[test]
fn a_resource_keeps_its_name_and_gets_a_federated_uri() {
    let result = r#"{"resources":[{"name":"one","uri":"note://1"}]}"#;
    let (items, _) = rename_items(ListKind::Resources, result, NOTES, |_| true).unwrap();
    assert_eq!(items, [r#"{"name":"one","uri":"notes+note://1"}"#]);
}

#[test]
fn an_answer_that_is_no_list_is_an_error() {
    assert!(rename_items(ListKind::Tools, r#"{"prompts":[]}"#, NOTES, |_| true).is_err());
}

#[test]
fn a_failed_server_is_visible_beside_the_others() {
    let failure = Failure {
        server: "down".into(),
        code: "upstream_unreachable",
        message: "no connection".into(),
        retryable: true,
        connect_url: None,
    };
    let merged = merge(ListKind::Tools, &[r#"{"name":"a__b"}"#.into()], &[failure]);
    let merged: serde_json::Value = serde_json::from_str(&merged).unwrap();
    assert_eq!(
        merged["_meta"]["agentapi.dev/failures"][0]["server"],
        "down"
    );
    assert_eq!(merged["tools"][0]["name"], "a__b");
}

#[test]
fn uris_are_rewritten_where_mcp_has_them_and_nowhere_else() {
    for (result, expected) in [
        (
            r#"{"contents":[{"uri":"note://1","text":"\"uri\":\"note://2\""}]}"#,
            r#"{"contents":[{"uri":"notes+note://1","text":"\"uri\":\"note://2\""}]}"#,
        ),
        (
            r#"{"content":[{"type":"resource_link","uri":"note://1"}]}"#,
            r#"{"content":[{"type":"resource_link","uri":"notes+note://1"}]}"#,
        ),
        (
            r#"{"content":[{"type":"resource","resource":{"uri":"note://1"}}]}"#,
            r#"{"content":[{"type":"resource","resource":{"uri":"notes+note://1"}}]}"#,
        ),
        (
            r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"note://1"}}}]}"#,
            r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"notes+note://1"}}}]}"#,
        ),
        (
            r#"{"structuredContent":{"uri":"note://1"},"content":[]}"#,
            r#"{"structuredContent":{"uri":"note://1"},"content":[]}"#,
        ),
        (r#"{"uri":7}"#, r#"{"uri":7}"#),
    ] {
        assert_eq!(rewrite_uris(result, "notes"), expected, "{result}");
    }
}

proptest! {
    #[test]
    fn a_federated_name_splits_back(prefix in "[a-z]([a-z0-9-]{0,10}[a-z0-9])?", name in ".{1,30}") {
        let federated = format!("{prefix}__{name}");
        prop_assert_eq!(split_name(&federated), Some((prefix.as_str(), name.as_str())));
    }

    #[test]
    fn a_federated_uri_splits_back(server in "[a-z]([a-z0-9-]{0,10}[a-z0-9])?", uri in ".{1,30}") {
        let federated = federated_uri(&server, &uri);
        prop_assert_eq!(split_uri(&federated), Some((server.as_str(), uri.as_str())));
    }
}
