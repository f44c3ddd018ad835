//! Messages of one server on a federated session: what they name is renamed so
//! that the client's answers find back, and nothing else is changed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::{Envelope, Kind, span};
use super::federation::{federated_uri, rewrite_uris, split_name};
use super::server_message::{ServerKind, ServerMessage};
use super::splice::{Edit, splice};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    progress_token: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow)]
    progress_token: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WithParams<'a> {
    #[serde(borrow, default)]
    params: Option<Params<'a>>,
}

/// A message of a server as the client of a federated session sees it: resource
/// URIs are federated, and the ids and progress tokens of the server's own
/// requests carry its name. What is no such message stays as it is.
pub fn from_server(text: String, server: &str) -> String {
    let Some(message) = ServerMessage::peek(&text) else {
        return text;
    };
    let edits = match &message.kind {
        ServerKind::Result { result, .. } => match rewrite_uris(result, server) {
            Cow::Borrowed(_) => vec![],
            Cow::Owned(with) => vec![Edit {
                span: message.span_of(result),
                with,
            }],
        },
        ServerKind::Error { .. } => vec![],
        ServerKind::Request { id, .. } => {
            let token = params(&text).meta.and_then(|meta| meta.progress_token);
            let owned = |raw: &RawValue| Edit::string(span(&text, raw.get()), &own(server, raw));
            [Some(*id), token]
                .into_iter()
                .flatten()
                .map(owned)
                .collect()
        }
        ServerKind::Notification { .. } => updated_uri(&text, server).into_iter().collect(),
    };
    if edits.is_empty() {
        return text;
    }
    spliced(&text, edits)
}

/// What a client sends back to one server: the answer to a request of the server, or
/// progress of one. The server, and the message with the server's own id or token.
pub fn client_answer<'a>(envelope: &Envelope<'a>) -> Option<(String, String)> {
    let text = envelope.text();
    let raw = match &envelope.kind {
        Kind::Response { id } => id.get(),
        Kind::Notification { method } if method == "notifications/progress" => {
            params(text).progress_token?.get()
        }
        _ => return None,
    };
    let federated: String = serde_json::from_str(raw).ok()?;
    let (server, own) = split_name(&federated)?;
    // What the client sends back is not what we sent until it proves to be.
    let own: &RawValue = serde_json::from_str(own).ok()?;
    let is_id = matches!(
        own.get().as_bytes().first(),
        Some(b'"' | b'-' | b'0'..=b'9')
    );
    let edit = Edit {
        span: span(text, raw),
        with: own.get().to_owned(),
    };
    is_id.then(|| (server.to_owned(), splice(text, &[edit])))
}

/// An id or token with the name of the server that uses it. The raw JSON is
/// kept, so that a number comes back as a number.
fn own(server: &str, raw: &RawValue) -> String {
    format!("{server}__{}", raw.get())
}

/// `notifications/resources/updated` names a resource.
fn updated_uri(text: &str, server: &str) -> Option<Edit> {
    let raw = params(text).uri?;
    let uri: String = serde_json::from_str(raw.get()).ok()?;
    Some(Edit::string(
        span(text, raw.get()),
        &federated_uri(server, &uri),
    ))
}

fn params(text: &str) -> Params<'_> {
    let message: Option<WithParams<'_>> = serde_json::from_str(text).ok();
    message
        .and_then(|message| message.params)
        .unwrap_or_default()
}

fn spliced(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.span.start);
    splice(text, &edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_request_comes_back_to_it_with_its_own_id() {
        for id in ["7", r#""a\"b""#, "-1"] {
            let asked = format!(r#"{{"jsonrpc":"2.0","method":"roots/list", "id" : {id}}}"#);
            let shown = from_server(asked, "notes");
            let ServerKind::Request { id: federated, .. } =
                ServerMessage::peek(&shown).unwrap().kind
            else {
                panic!("no request: {shown}");
            };
            let answer = format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{ }}}}"#,
                federated.get()
            );
            let envelope = Envelope::peek(answer.as_bytes()).unwrap();
            let (server, answer) = client_answer(&envelope).unwrap();
            assert_eq!(server, "notes");
            assert_eq!(
                answer,
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{ }}}}"#)
            );
        }
    }

    #[test]
    fn an_answer_to_nobody_is_not_forwarded() {
        for id in [
            "1",
            r#""x""#,
            r#""notes__""#,
            r#""notes__{}""#,
            r#""notes__1 2""#,
        ] {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
            let envelope = Envelope::peek(answer.as_bytes()).unwrap();
            assert!(client_answer(&envelope).is_none(), "{id}");
        }
    }

    #[test]
    fn progress_of_a_servers_request_finds_back() {
        let asked = r#"{"jsonrpc":"2.0","method":"sampling/createMessage","id":1,"params":{"_meta":{"progressToken":4}}}"#;
        let shown = from_server(asked.to_owned(), "notes");
        assert!(shown.contains(r#""progressToken":"notes__4""#), "{shown}");
        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"notes__4","progress":1}}"#;
        let envelope = Envelope::peek(progress.as_bytes()).unwrap();
        let (server, forwarded) = client_answer(&envelope).unwrap();
        assert_eq!(server, "notes");
        assert!(forwarded.contains(r#""progressToken":4,"#), "{forwarded}");
    }

    #[test]
    fn the_clients_own_progress_passes_untouched() {
        let text = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}"#;
        assert_eq!(from_server(text.to_owned(), "notes"), text);
    }

    #[test]
    fn a_result_without_uris_passes_untouched() {
        let text =
            r#"{"jsonrpc":"2.0", "id":1,"result":{"content":[ {"type":"text","text":"x"} ]}}"#;
        assert_eq!(from_server(text.to_owned(), "notes"), text);
    }
}
