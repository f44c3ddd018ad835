use agentapi_crds::tenant_config::{IssuerConfig, IssuerKeys};

use super::*;
use crate::auth::DevelopmentIssuer;
use crate::tenants::test_config::{config, environment, server};

fn installer(development: Option<DevelopmentIssuer>) -> Installer {
    Installer::new(
        Tenants::default(),
        environment(development),
        Removals::new().0,
        Metrics::new(),
    )
}

fn document(config: TenantConfig) -> String {
    serde_json::to_string(&config.sealed().unwrap()).unwrap()
}

fn served(installer: &Installer, organization: &str) -> Arc<Tenant> {
    installer
        .tenants
        .get(organization)
        .expect("the organization must be served")
}

fn counted(installer: &Installer, line: &str) -> bool {
    installer
        .metrics
        .encode()
        .unwrap()
        .lines()
        .any(|found| found == line)
}

#[test]
fn a_document_that_was_changed_by_hand_is_refused_and_the_previous_one_kept() {
    let installer = installer(None);
    let original = document(config("acme"));
    installer.install_document(&original).unwrap();
    let before = served(&installer, "acme");
    let changed = original.replace("\"suspended\":false", "\"suspended\":true");
    let error = installer
        .install_document(&changed)
        .expect_err("its revision does not match");
    assert!(
        error.to_string().contains("does not match the content"),
        "{error}"
    );
    assert!(
        Arc::ptr_eq(&before, &served(&installer, "acme")),
        "the previous document must stay"
    );
    assert!(
        counted(&installer, "agentapi_tenant_config_failures_total 1"),
        "the failure must be counted"
    );
}

#[test]
fn a_document_for_a_newer_gateway_keeps_the_previous_one() {
    let installer = installer(None);
    installer.install(config("acme")).unwrap();
    let before = served(&installer, "acme");
    let newer = document(TenantConfig {
        min_reader: 99,
        ..config("acme")
    });
    let error = installer
        .install_document(&newer)
        .expect_err("this build is too old");
    assert!(error.to_string().contains("update the gateway"), "{error}");
    assert!(Arc::ptr_eq(&before, &served(&installer, "acme")));
}

#[test]
fn a_document_that_does_not_compile_keeps_the_previous_one() {
    let installer = installer(None);
    installer.install(config("acme")).unwrap();
    let before = served(&installer, "acme");
    let mut broken = config("acme");
    let mut issuer: IssuerConfig = DevelopmentIssuer::new(&[1; 32]).config_for("acme");
    issuer.keys = IssuerKeys::Inline("not a key set".into());
    broken.identity.issuers = vec![issuer];
    assert!(matches!(
        installer.install(broken),
        Err(InstallError::Compile(_))
    ));
    assert!(Arc::ptr_eq(&before, &served(&installer, "acme")));
}

#[test]
fn a_tenant_id_of_another_organization_is_refused() {
    let installer = installer(None);
    installer.install(config("acme")).unwrap();
    let thief = TenantConfig {
        tenant_id: config("acme").tenant_id,
        ..config("globex")
    };
    let error = installer.install(thief).expect_err("rows would be shared");
    assert!(
        error.to_string().contains("belongs to organization acme"),
        "{error}"
    );
    assert!(installer.tenants.get("globex").is_none());
}

#[test]
fn a_server_that_did_not_change_keeps_its_connections_across_revisions() {
    let installer = installer(None);
    installer
        .install(TenantConfig {
            servers: vec![server("notes"), server("clock")],
            ..config("acme")
        })
        .unwrap();
    let before = served(&installer, "acme");
    let mut changed = server("clock");
    changed.timeout_seconds = 5;
    installer
        .install(TenantConfig {
            servers: vec![server("notes"), changed],
            ..config("acme")
        })
        .unwrap();
    let after = served(&installer, "acme");
    assert!(Arc::ptr_eq(
        &before.servers["notes"],
        &after.servers["notes"]
    ));
    assert!(!Arc::ptr_eq(
        &before.servers["clock"],
        &after.servers["clock"]
    ));
}

#[test]
fn changed_egress_keeps_no_server() {
    let installer = installer(None);
    installer
        .install(TenantConfig {
            servers: vec![server("notes")],
            ..config("acme")
        })
        .unwrap();
    let before = served(&installer, "acme");
    let egress =
        serde_json::from_str(r#"[{"destination":{"host":"notes.example"},"ports":[443]}]"#)
            .unwrap();
    installer
        .install(TenantConfig {
            servers: vec![server("notes")],
            egress,
            ..config("acme")
        })
        .unwrap();
    assert!(!Arc::ptr_eq(
        &before.servers["notes"],
        &served(&installer, "acme").servers["notes"]
    ));
}

#[test]
fn the_development_issuer_is_trusted_only_where_it_is_embedded_and_no_issuer_is_named() {
    let development = DevelopmentIssuer::new(&[1; 32]);
    let embedded = installer(Some(development.clone()));
    embedded.install(config("acme")).unwrap();
    assert_eq!(
        served(&embedded, "acme").issuers[0].config,
        development.config_for("acme")
    );

    let mut named = config("globex");
    let own = IssuerConfig {
        issuer: "https://own.example".into(),
        ..development.config_for("globex")
    };
    named.identity.issuers = vec![own];
    embedded.install(named).unwrap();
    assert_eq!(
        embedded.tenants.trusting(DevelopmentIssuer::ISSUER).len(),
        1,
        "globex has an issuer of its own"
    );

    let serving = installer(None);
    serving.install(config("acme")).unwrap();
    assert!(served(&serving, "acme").issuers.is_empty());
}

#[test]
fn only_named_organizations_are_retained() {
    let installer = installer(None);
    installer.install(config("acme")).unwrap();
    installer.install(config("globex")).unwrap();
    installer.retain(&BTreeSet::from(["acme".to_owned()]));
    assert_eq!(installer.tenants.names(), ["acme"]);
    assert!(
        counted(&installer, "agentapi_tenants 1"),
        "the gauge must follow"
    );
}

#[test]
fn a_server_that_does_not_compile_cannot_keep_an_organization_from_being_suspended() {
    let installer = installer(None);
    installer.install(config("acme")).unwrap();
    let mut broken = server("notes");
    broken.tools.allow = vec!["[".into()];
    let broken = TenantConfig {
        servers: vec![broken],
        ..config("acme")
    };
    let refused = installer.install(broken.clone());
    assert!(
        matches!(refused, Err(InstallError::Compile(_))),
        "{refused:?}"
    );
    let suspended = TenantConfig {
        suspended: true,
        ..broken
    };
    installer.install(suspended).unwrap();
    assert!(served(&installer, "acme").config.suspended);
}
