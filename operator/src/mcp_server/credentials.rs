//! References to Secrets: which may be used, and for which host.

use std::collections::BTreeSet;

use agentapi_crds::conditions::reasons;
use agentapi_crds::tenant_config::SecretReference;
use agentapi_crds::{McpServerSpec, SecretKeyRef, names};

use crate::inputs::{SecretMetadata, Secrets};
use crate::problem::Problem;

/// Where a secret's value is going.
pub(crate) enum Destination<'a> {
    /// To this host, as a header of every request.
    Host(&'a str),
    /// Into a process, which may send it anywhere.
    Process,
    /// To an authorization server that is found when it is needed: the gateway
    /// keeps to the hosts that [`allowed_hosts`] gives it.
    Found,
}

/// Hosts that the annotation of a Secret allows; none where it has no such annotation.
pub(super) fn allowed_hosts(secrets: &Secrets, namespace: &str, name: &str) -> Vec<String> {
    let annotations = secrets
        .get(namespace, name)
        .map(|secret| &secret.annotations);
    let allowed = annotations.and_then(|found| found.get(names::ALLOWED_HOSTS_ANNOTATION));
    let entries = allowed.into_iter().flat_map(|allowed| allowed.split(','));
    entries
        .map(|entry| entry.trim().to_ascii_lowercase())
        .collect()
}

/// The reference at its present version, or why the Secret must not be used.
pub(crate) fn resolve(
    secrets: &Secrets,
    namespace: &str,
    reference: &SecretKeyRef,
    destination: &Destination<'_>,
    field: &str,
) -> Result<SecretReference, Problem> {
    let unavailable = |message: String| Problem::new(reasons::SECRET_UNAVAILABLE, field, message);
    let name = &reference.name;
    let secret = secrets.get(namespace, name).ok_or_else(|| {
        unavailable(format!(
            "Secret {namespace}/{name} does not exist: create it with the label {}={}",
            names::USE_LABEL,
            names::USE_CREDENTIAL
        ))
    })?;
    if !secret.is_opaque() {
        return Err(unavailable(format!(
            "Secret {namespace}/{name} is of type {}: only Opaque Secrets may be used",
            secret.secret_type
        )));
    }
    if secret.labels.get(names::USE_LABEL).map(String::as_str) != Some(names::USE_CREDENTIAL) {
        return Err(unavailable(format!(
            "Secret {namespace}/{name} lacks the label {}={}: add it if servers may use this Secret",
            names::USE_LABEL,
            names::USE_CREDENTIAL
        )));
    }
    if !secret.keys.contains(&reference.key) {
        return Err(unavailable(format!(
            "Secret {namespace}/{name} has no key `{}`",
            reference.key
        )));
    }
    check_destination(secret, destination).map_err(unavailable)?;
    Ok(SecretReference {
        namespace: namespace.to_owned(),
        name: name.clone(),
        key: reference.key.clone(),
        resource_version: secret.resource_version.clone(),
    })
}

fn check_destination(secret: &SecretMetadata, destination: &Destination<'_>) -> Result<(), String> {
    let Some(allowed) = secret.annotations.get(names::ALLOWED_HOSTS_ANNOTATION) else {
        return Ok(());
    };
    let title = format!("Secret {}/{}", secret.namespace, secret.name);
    match destination {
        Destination::Host(host) => {
            let listed = allowed
                .split(',')
                .map(str::trim)
                .any(|entry| entry.eq_ignore_ascii_case(host));
            listed.then_some(()).ok_or_else(|| {
                format!(
                    "{title} may not be sent to {host}: its annotation {} allows {allowed}",
                    names::ALLOWED_HOSTS_ANNOTATION
                )
            })
        }
        Destination::Found => Ok(()),
        Destination::Process => Err(format!(
            "{title} is bound to hosts by its annotation {}, which cannot be kept inside a process: use a Secret without it",
            names::ALLOWED_HOSTS_ANNOTATION
        )),
    }
}

/// Names of all Secrets that a spec refers to, in whatever role.
pub fn secret_names(spec: &McpServerSpec) -> BTreeSet<&str> {
    let auth = spec.auth.iter();
    let client = auth
        .clone()
        .filter_map(|auth| auth.oauth.as_ref())
        .filter_map(|oauth| oauth.client_ref.as_ref())
        .map(|client| client.name.as_str());
    let bearer = auth
        .clone()
        .filter_map(|auth| auth.bearer.as_ref())
        .map(|bearer| &bearer.secret_ref);
    let headers = auth
        .flat_map(|auth| &auth.headers)
        .map(|header| &header.secret_ref);
    let env = spec
        .stdio
        .iter()
        .flat_map(|stdio| &stdio.env)
        .filter_map(|entry| entry.secret_ref.as_ref());
    bearer
        .chain(headers)
        .chain(env)
        .map(|reference| reference.name.as_str())
        .chain(client)
        .collect()
}
