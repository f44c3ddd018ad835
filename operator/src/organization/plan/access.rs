//! Who may do what in the namespace: people, workloads and the gateway.

use std::collections::BTreeSet;

use agentapi_crds::organization::{Subject, SubjectKind};
use agentapi_crds::tenant_config::{ServerConfig, TenantConfig};
use serde_json::{Value, json};

use crate::object::{Kind, Object};
use crate::organization::ValidatedOrganization;
use crate::settings::Settings;

/// Service account of all workloads that the operator makes; it has no rights and no token.
pub const WORKLOAD_SERVICE_ACCOUNT: &str = "agentapi-workload";
/// ClusterRole of the chart for an organization's administrators.
const ADMIN_ROLE: &str = "agentapi-tenant-admin";
/// ClusterRole of the chart for those who may look.
const VIEWER_ROLE: &str = "agentapi-tenant-viewer";
/// Name of the gateway's Role and RoleBinding.
pub(crate) const GATEWAY_SECRETS: &str = "agentapi-gateway-secrets";
/// API group of Roles and their subjects.
const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn access(
    organization: &ValidatedOrganization,
    document: Option<&TenantConfig>,
    settings: &Settings,
) -> Vec<Object> {
    let mut objects = vec![service_account(organization)];
    objects.extend(people(organization, ADMIN_ROLE, &organization.admins));
    objects.extend(people(organization, VIEWER_ROLE, &organization.viewers));
    objects.extend(gateway_secrets(organization, document, settings));
    objects
}

fn service_account(organization: &ValidatedOrganization) -> Object {
    let mut content = json!({"automountServiceAccountToken": false});
    if !organization.image_pull_secrets.is_empty() {
        let names = organization.image_pull_secrets.iter();
        let secrets: Vec<_> = names.map(|name| json!({"name": name})).collect();
        content["imagePullSecrets"] = json!(secrets);
    }
    namespaced(
        organization,
        Kind::ServiceAccount,
        WORKLOAD_SERVICE_ACCOUNT,
        content,
    )
}

fn people(
    organization: &ValidatedOrganization,
    role: &str,
    subjects: &[Subject],
) -> Option<Object> {
    let subjects: Vec<_> = subjects.iter().map(subject).collect();
    let content = json!({
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    });
    (!subjects.is_empty()).then(|| namespaced(organization, Kind::RoleBinding, role, content))
}

fn subject(subject: &Subject) -> Value {
    match subject.kind {
        SubjectKind::User => json!({"apiGroup": RBAC, "kind": "User", "name": subject.name}),
        SubjectKind::Group => json!({"apiGroup": RBAC, "kind": "Group", "name": subject.name}),
        SubjectKind::ServiceAccount => {
            json!({"kind": "ServiceAccount", "name": subject.name, "namespace": subject.namespace})
        }
    }
}

/// The gateway's right to read exactly the Secrets that the document names.
/// Nothing when it names none: an empty list of names would mean all of them.
fn gateway_secrets(
    organization: &ValidatedOrganization,
    document: Option<&TenantConfig>,
    settings: &Settings,
) -> Vec<Object> {
    let names: BTreeSet<&str> = document
        .into_iter()
        .flat_map(|document| &document.servers)
        .flat_map(secrets_of)
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let role = json!({
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": ["get"]}],
    });
    let binding = json!({
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": GATEWAY_SECRETS},
        "subjects": [{
            "kind": "ServiceAccount",
            "name": settings.gateway_service_account,
            "namespace": settings.platform_namespace,
        }],
    });
    vec![
        namespaced(organization, Kind::Role, GATEWAY_SECRETS, role),
        namespaced(organization, Kind::RoleBinding, GATEWAY_SECRETS, binding),
    ]
}

/// Names of the Secrets that the gateway reads for a server.
fn secrets_of(server: &ServerConfig) -> impl Iterator<Item = &str> {
    let headers = server.credentials.iter().map(|header| &header.secret);
    let client = server
        .oauth
        .iter()
        .filter_map(|oauth| oauth.client.as_ref());
    let client = client.flat_map(|client| [Some(&client.id), client.secret.as_ref()]);
    let all = headers.chain(client.flatten());
    all.map(|secret| secret.name.as_str())
}

fn namespaced(
    organization: &ValidatedOrganization,
    kind: Kind,
    name: &str,
    content: Value,
) -> Object {
    organization
        .owner()
        .object(kind, Some(&organization.namespace), name, content)
}
