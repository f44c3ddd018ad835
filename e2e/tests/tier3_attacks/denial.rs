//! Who must deny an attack, and whether the API server's answer says that it was they.

use agentapi_e2e::kubernetes_api::KubernetesAnswer;
use anyhow::{Result, ensure};
use http::{Method, StatusCode};
use serde::Deserialize;

use super::row::Call;

/// Who denies a request, and what they say of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Denial {
    by: String,
    /// Part of the message, so that a denial for another reason does not count.
    /// What RBAC says follows from the request.
    #[serde(default)]
    saying: String,
}

impl Denial {
    /// Fails unless the answer is this denial and no other.
    pub(super) fn expect(&self, call: &Call, user: &str, answer: &KubernetesAnswer) -> Result<()> {
        let message = answer.message();
        ensure!(
            answer.code == StatusCode::FORBIDDEN && answer.body["reason"] == "Forbidden",
            "it was answered {}: {}",
            answer.code,
            answer.body
        );
        for said in self.signature(call, user) {
            ensure!(
                message.contains(&said),
                "it was denied, but {} does not say `{said}`: {message}",
                self.by
            );
        }
        Ok(())
    }

    /// As the report names it.
    pub(super) fn by(&self) -> String {
        match self.by.as_str() {
            known @ ("RBAC" | "Pod Security" | "quota" | "limit range") => known.to_owned(),
            policy => format!("policy `{policy}`"),
        }
    }

    /// What the denier's message contains.
    fn signature(&self, call: &Call, user: &str) -> Vec<String> {
        let mut said = match self.by.as_str() {
            "RBAC" => return vec![format!("User \"{user}\" cannot {}", refused_by_rbac(call))],
            "Pod Security" => vec!["violates PodSecurity \"restricted:".to_owned()],
            "quota" => vec!["exceeded quota: agentapi, ".to_owned()],
            "limit range" => Vec::new(),
            policy => vec![format!(
                "ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: "
            )],
        };
        said.push(self.saying.clone());
        said
    }
}

/// The request in RBAC's words.
fn refused_by_rbac(call: &Call) -> String {
    let path = call.path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (group, rest) = match segments.as_slice() {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return format!("get path \"{path}\""),
    };
    let (rest, place) = match rest {
        ["namespaces", namespace, resource @ .., last] if !is_of_namespace(resource, last) => (
            rest.get(2..).unwrap_or_default(),
            format!("in the namespace \"{namespace}\""),
        ),
        // A namespace counts as being in itself.
        ["namespaces", namespace, ..] => (rest, format!("in the namespace \"{namespace}\"")),
        _ => (rest, "at the cluster scope".to_owned()),
    };
    let resource = match rest {
        [resource, _, subresource, ..] => format!("{resource}/{subresource}"),
        [resource, ..] => (*resource).to_owned(),
        [] => String::new(),
    };
    let is_named = rest.len() > 1;
    format!(
        "{} resource \"{resource}\" in API group \"{group}\" {place}",
        verb(&call.method, is_named)
    )
}

/// Whether `/namespaces/NAME/…` goes on with a subresource of the namespace itself.
fn is_of_namespace(between: &[&str], last: &str) -> bool {
    between.is_empty() && ["status", "finalize"].contains(&last)
}

fn verb(method: &Method, is_named: bool) -> &'static str {
    match (method.as_str(), is_named) {
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        (_, true) => "delete",
        (_, false) => "deletecollection",
    }
}
