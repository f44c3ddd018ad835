use agentapi_crds::tenant_config::TenantConfig;
use insta::assert_yaml_snapshot;

use super::plan;
use crate::fixtures::{organization, organization_since, secret, server, settings, valid};
use crate::inputs::Secrets;
use crate::object::{Kind, Object};
use crate::organization::{Members, View, assess, compose};

fn planned(spec: &str) -> Vec<Object> {
    plan(&valid(spec), None, &settings())
}

fn names(objects: &[Object], kind: Kind) -> Vec<&str> {
    let of_kind = objects.iter().filter(|object| object.kind == kind);
    of_kind.map(|object| object.name.as_str()).collect()
}

#[test]
fn a_plain_organization() {
    assert_yaml_snapshot!(planned(""));
}

#[test]
fn an_organization_with_everything() {
    let spec = "displayName: Acme Corp\nadmins: [{kind: User, name: alice}, {kind: ServiceAccount, name: deployer, namespace: ci}]\nviewers: [{kind: Group, name: auditors}]\nquota: {requests.cpu: 2, services.nodeports: 1}\ncontainerDefaults: {default: {memory: 1Gi}, max: {cpu: 4}}\nimagePullSecrets: [{name: registry}]\nnetwork:\n  egress: [{cidr: 0.0.0.0/0, ports: [443]}, {cidr: '::/0'}, {host: api.example.com}]\n  allowFrom: [{matchLabels: {team: ingress}}]";
    assert_yaml_snapshot!(planned(spec));
}

#[test]
fn the_namespace_is_closed_before_anybody_is_let_in() {
    let objects = planned("admins: [{kind: User, name: alice}]");
    let position = |kind: Kind| objects.iter().position(|object| object.kind == kind);
    assert!(position(Kind::Namespace) < position(Kind::NetworkPolicy));
    assert!(position(Kind::NetworkPolicy) < position(Kind::RoleBinding));
}

#[test]
fn every_object_carries_the_operators_labels() {
    for object in planned("") {
        let labels = &object.manifest["metadata"]["labels"];
        assert_eq!(
            labels["agentapi.dev/organization-uid"],
            crate::fixtures::UID,
            "{}",
            object.title()
        );
    }
}

#[test]
fn the_gateway_gets_no_role_while_no_secret_is_named() {
    let document = compose(&valid(""), &Members::default(), None).expect("the document fits");
    let objects = plan(&valid(""), Some(&document), &settings());
    assert_eq!(names(&objects, Kind::Role), Vec::<&str>::new());
}

fn document_with_secrets() -> TenantConfig {
    let spec = "remote: {url: 'https://a.example.com'}\nauth: {headers: [{name: X-A, secretRef: {name: second}}, {name: X-B, secretRef: {name: first}}, {name: X-C, secretRef: {name: first}}]}";
    let server = server("a", spec);
    let secrets: Secrets = [secret("first"), secret("second")].into_iter().collect();
    let assessment = assess(&View {
        organization: &organization(""),
        all: &[],
        servers: &[&server],
        prompts: &[],
        secrets: &secrets,
        unreachable: &Default::default(),
        live: None,
        settings: &settings(),
    });
    assessment
        .document
        .expect("the document fits")
        .expect("there is a document")
}

#[test]
fn the_gateway_may_read_exactly_the_named_secrets() {
    let objects = plan(&valid(""), Some(&document_with_secrets()), &settings());
    let role = objects
        .iter()
        .find(|object| object.kind == Kind::Role)
        .expect("there is a Role");
    let expected = serde_json::json!([{
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["first", "second"], "verbs": ["get"],
    }]);
    assert_eq!(role.manifest["rules"], expected);
}

#[test]
fn the_document_is_a_config_map_of_the_platform() {
    let objects = plan(&valid(""), Some(&document_with_secrets()), &settings());
    let map = objects.last().expect("there are objects");
    let found = (map.kind, map.namespace.as_deref(), map.name.as_str());
    assert_eq!(
        found,
        (Kind::ConfigMap, Some("agentapi-tenants"), "tenant-acme")
    );
}

#[test]
fn the_config_map_is_read_back_as_the_document() {
    let document = document_with_secrets();
    let objects = plan(&valid(""), Some(&document), &settings());
    let text = objects
        .last()
        .and_then(|map| map.manifest["data"]["tenant.json"].as_str());
    let read =
        TenantConfig::read(text.expect("there is a document")).expect("the revision matches");
    assert_eq!(read, document);
}

#[test]
fn node_local_dns_is_opened_where_the_cluster_has_it() {
    let settings = crate::settings::Settings {
        node_local_dns: Some("169.254.20.10".parse().expect("an address")),
        ..settings()
    };
    let objects = plan(&valid(""), None, &settings);
    let dns = objects
        .iter()
        .find(|object| object.name == "agentapi-allow-dns")
        .expect("there is a policy");
    assert_eq!(
        dns.manifest["spec"]["egress"][0]["to"][1]["ipBlock"]["cidr"],
        "169.254.20.10/32"
    );
}

#[test]
fn organizations_share_no_object() {
    let title = |name: &str| -> Vec<String> {
        let organization = organization_since(name, 2026, "");
        let valid = crate::organization::validate(&organization, &settings()).expect("valid");
        let objects = plan(&valid, None, &settings());
        objects.iter().map(Object::title).collect()
    };
    let first = title("a");
    assert!(title("b").iter().all(|title| !first.contains(title)));
}
