//! Many servers as one: names, URIs and lists.
//!
//! Names become `<prefix>__<name>`, URIs `<server>+<uri>`. Both are spliced into
//! the items' own text, so that undoing them gives back the original bytes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::span;
use super::splice::{Edit, splice};

const SEPARATOR: &str = "__";

/// Prefix and own name of a federated name; the prefix holds no `__`.
pub fn split_name(federated: &str) -> Option<(&str, &str)> {
    federated.split_once(SEPARATOR)
}

/// Server and own URI of a federated URI. Server names are DNS labels, so the
/// first `+` ends one; a URI of a composite scheme keeps its own.
pub fn split_uri(federated: &str) -> Option<(&str, &str)> {
    federated.split_once('+')
}

/// A URI as it is called on the federated endpoint: again a URI (RFC 3986, 3.1).
pub fn federated_uri(server: &str, uri: &str) -> String {
    format!("{server}+{uri}")
}

/// A list that servers offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    ResourceTemplates,
}

impl ListKind {
    /// The list that a method asks for.
    pub fn of(method: &str) -> Option<Self> {
        Some(match method {
            "tools/list" => Self::Tools,
            "prompts/list" => Self::Prompts,
            "resources/list" => Self::Resources,
            "resources/templates/list" => Self::ResourceTemplates,
            _ => return None,
        })
    }

    /// The method that asks for it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
        }
    }

    /// Member of `result` that holds the items.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }

    /// Whether its items are named by prefix; the others are named by URI.
    pub fn is_prefixed(self) -> bool {
        matches!(self, Self::Tools | Self::Prompts)
    }

    /// The server capability without which there is no such list.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::ResourceTemplates => "resources",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    prompts: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    resources: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    resource_templates: Option<Vec<&'a RawValue>>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    uri_template: Option<&'a RawValue>,
}

/// The items of one page of one server, renamed, with the cursor of the next
/// page. `offered` decides by an item's own name.
///
/// # Errors
/// When `result` is not such a list.
pub fn rename_items(
    kind: ListKind,
    result: &str,
    names: Option<(&str, &str)>,
    offered: impl Fn(&str) -> bool,
) -> Result<(Vec<String>, Option<String>), serde_json::Error> {
    let page: Page<'_> = serde_json::from_str(result)?;
    let items = match kind {
        ListKind::Tools => page.tools,
        ListKind::Prompts => page.prompts,
        ListKind::Resources => page.resources,
        ListKind::ResourceTemplates => page.resource_templates,
    };
    let Some(items) = items else {
        return Err(serde::de::Error::missing_field(kind.member()));
    };
    let mut renamed = Vec::with_capacity(items.len());
    for raw in items {
        let text = raw.get();
        let item: Item<'_> = serde_json::from_str(text)?;
        let name: Option<Cow<'_, str>> = item
            .name
            .map(|name| serde_json::from_str(name.get()))
            .transpose()?;
        if kind == ListKind::Tools && !name.as_deref().is_some_and(&offered) {
            continue;
        }
        renamed.push(match names {
            Some((prefix, server)) => rename(kind, text, &item, prefix, server)?,
            None => text.to_owned(),
        });
    }
    Ok((renamed, page.next_cursor))
}

fn rename(
    kind: ListKind,
    text: &str,
    item: &Item<'_>,
    prefix: &str,
    server: &str,
) -> Result<String, serde_json::Error> {
    let mut edits = Vec::new();
    match kind {
        ListKind::Tools | ListKind::Prompts => {
            if let Some(raw) = item.name {
                let name: String = serde_json::from_str(raw.get())?;
                edits.push(Edit::string(
                    span(text, raw.get()),
                    &format!("{prefix}{SEPARATOR}{name}"),
                ));
            }
        }
        ListKind::Resources | ListKind::ResourceTemplates => {
            for raw in [item.uri, item.uri_template].into_iter().flatten() {
                let uri: String = serde_json::from_str(raw.get())?;
                edits.push(Edit::string(
                    span(text, raw.get()),
                    &federated_uri(server, &uri),
                ));
            }
            edits.sort_by_key(|edit| edit.span.start);
        }
    }
    Ok(splice(text, &edits))
}

/// A server whose items are missing from a merged list, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Name of the server.
    pub server: String,
    /// Stable code of what went wrong.
    pub code: &'static str,
    /// What went wrong, for people.
    pub message: String,
    /// Whether asking again may help.
    pub retryable: bool,
    /// Where the user connects the account that is missing.
    #[serde(rename = "connectUrl", skip_serializing_if = "Option::is_none")]
    pub connect_url: Option<String>,
}

/// The merged `result`: items in the given order, failures visible in `_meta`.
pub fn merge(kind: ListKind, items: &[String], failures: &[Failure]) -> String {
    let member = kind.member();
    let items = items.join(",");
    if failures.is_empty() {
        return format!(r#"{{"{member}":[{items}]}}"#);
    }
    let failures = serde_json::json!(failures);
    format!(r#"{{"{member}":[{items}],"_meta":{{"agentapi.dev/failures":{failures}}}}}"#)
}

/// A result of one server with its resource URIs as the federated endpoint
/// calls them: in the contents of a read, in the content of a tool's result, and
/// in a prompt's messages. What is not of that shape stays as it is.
pub fn rewrite_uris<'a>(result: &'a str, server: &str) -> Cow<'a, str> {
    if !result.contains("\"uri\"") {
        return Cow::Borrowed(result);
    }
    let Ok(found) = serde_json::from_str::<WithUris<'a>>(result) else {
        return Cow::Borrowed(result);
    };
    let mut edits = Vec::new();
    for uri in found.uris() {
        if let Ok(own) = serde_json::from_str::<String>(uri.get()) {
            edits.push(Edit::string(
                span(result, uri.get()),
                &federated_uri(server, &own),
            ));
        }
    }
    edits.sort_by_key(|edit| edit.span.start);
    Cow::Owned(splice(result, &edits))
}

#[derive(Deserialize)]
struct WithUris<'a> {
    #[serde(borrow, default)]
    contents: Vec<Content<'a>>,
    #[serde(borrow, default)]
    content: Vec<Content<'a>>,
    #[serde(borrow, default)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Content<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
}

impl<'a> WithUris<'a> {
    fn uris(&self) -> impl Iterator<Item = &'a RawValue> {
        let of_messages = self.messages.iter().map(|message| &message.content);
        let all = self.contents.iter().chain(&self.content).chain(of_messages);
        all.flat_map(|content| {
            [
                content.uri,
                content.resource.as_ref().and_then(|resource| resource.uri),
            ]
        })
        .flatten()
    }
}

#[cfg(test)]
#[path = "federation_tests.rs"]
mod tests;
