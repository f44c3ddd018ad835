use agentapi_crds::tenant_config::TenantConfig;
use k8s_openapi::ByteString;
use secrecy::ExposeSecret;

use super::*;
use crate::tenants::Removals;
use crate::tenants::test_config::config;

fn document(name: &str, label: &str, config: TenantConfig) -> ConfigMap {
    let mut document = ConfigMap::default();
    document.metadata.name = Some(name.to_owned());
    document
        .labels_mut()
        .insert(names::ORGANIZATION_LABEL.to_owned(), label.to_owned());
    let content = serde_json::to_string(&config.sealed().unwrap()).unwrap();
    document.data = Some([(names::TENANT_CONFIG_KEY.to_owned(), content)].into());
    document
}

fn refusal(document: &ConfigMap) -> String {
    agreed(document)
        .expect_err("the ConfigMap must be refused")
        .to_string()
}

#[test]
fn a_document_is_accepted_when_name_label_and_content_agree() {
    let found = agreed(&document("tenant-acme", "acme", config("acme"))).unwrap();
    assert_eq!(found.organization, "acme");
}

#[test]
fn a_document_is_refused_when_name_label_or_content_disagree() {
    for (name, label, organization, expected) in [
        ("acme", "acme", "acme", "its name"),
        ("tenant-", "", "", "its name"),
        ("tenant-acme", "globex", "acme", "its label"),
        ("tenant-acme", "acme", "globex", "its document"),
    ] {
        let refusal = refusal(&document(name, label, config(organization)));
        assert!(
            refusal.starts_with(expected),
            "{name}, {label}, {organization}: {refusal}"
        );
    }
}

#[test]
fn a_config_map_without_document_is_refused() {
    let mut empty = document("tenant-acme", "acme", config("acme"));
    empty.data = None;
    assert!(refusal(&empty).contains(names::TENANT_CONFIG_KEY));
}

#[tokio::test]
async fn every_refused_config_map_is_counted_once_and_changes_nothing() {
    let metrics = crate::telemetry::Metrics::new();
    let tenants = crate::tenants::Tenants::default();
    let environment = crate::tenants::test_config::environment(None);
    let installer = Installer::new(
        tenants.clone(),
        environment,
        Removals::new().0,
        metrics.clone(),
    );
    apply(&installer, document("tenant-acme", "acme", config("acme"))).await;
    let served = tenants.get("acme").expect("the document is good");

    let mut unreadable = document("tenant-acme", "acme", config("acme"));
    unreadable.data = Some([(names::TENANT_CONFIG_KEY.to_owned(), "{}".to_owned())].into());
    let mislabelled = document("tenant-acme", "globex", config("acme"));
    let mut taken = config("globex");
    taken.tenant_id = config("acme").tenant_id;
    let taken = document("tenant-globex", "globex", taken);
    for refused in [unreadable, mislabelled, taken] {
        apply(&installer, refused).await;
    }
    let text = metrics.encode().unwrap();
    assert!(
        text.contains("agentapi_tenant_config_failures_total 3"),
        "{text}"
    );
    let still = tenants.get("acme").expect("it is still served");
    assert!(std::sync::Arc::ptr_eq(&served, &still));
}

fn reference(resource_version: &str) -> SecretReference {
    SecretReference {
        namespace: "org-acme".into(),
        name: "clock".into(),
        key: "token".into(),
        resource_version: resource_version.into(),
    }
}

fn secret(bytes: &[u8]) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.resource_version = Some("7".into());
    secret.data = Some([("token".to_owned(), ByteString(bytes.to_vec()))].into());
    secret
}

#[test]
fn the_value_of_the_validated_version_is_read() {
    let found = value(&reference("7"), Some(secret(b"hunter2"))).unwrap();
    assert_eq!(found.expose_secret(), "hunter2");
}

#[test]
fn a_secret_that_changed_since_it_was_validated_is_not_used() {
    let refused = value(&reference("6"), Some(secret(b"hunter2")));
    assert!(
        matches!(refused, Err(SecretError::Unavailable(_))),
        "{refused:?}"
    );
}

#[test]
fn a_missing_secret_or_key_and_bytes_that_are_no_text_are_told_apart() {
    assert!(matches!(
        value(&reference("7"), None),
        Err(SecretError::Missing { .. })
    ));
    let other = SecretReference {
        key: "other".into(),
        ..reference("7")
    };
    assert!(matches!(
        value(&other, Some(secret(b"x"))),
        Err(SecretError::Missing { .. })
    ));
    assert!(matches!(
        value(&reference("7"), Some(secret(&[0xff]))),
        Err(SecretError::NotText { .. })
    ));
}
