use super::*;

fn acme() -> TenantConfig {
    TenantConfig {
        schema_version: SCHEMA_VERSION,
        min_reader: MIN_READER,
        revision: String::new(),
        organization: "acme".into(),
        tenant_id: Uuid::from_u128(7),
        namespace: "org-acme".into(),
        display_name: "Acme".into(),
        suspended: false,
        identity: IdentityConfig::default(),
        egress: vec![],
        sessions: SessionsConfig {
            max_per_user: 1000,
            idle_timeout_seconds: 1800,
            max_lifetime_seconds: 86_400,
        },
        rate_limits: RateLimitsConfig {
            per_user: RateConfig {
                requests_per_minute: 60,
                burst: 10,
            },
            overrides: BTreeMap::new(),
            organization: None,
        },
        concurrency: ConcurrencyConfig::default(),
        audit: AuditConfig {
            retention_days: 365,
            durability: AuditDurability::Synchronous,
        },
        user_servers: false,
        event_sinks: vec![],
        servers: vec![],
        prompts: vec![],
    }
}

fn document(config: &TenantConfig) -> String {
    serde_json::to_string(config).unwrap()
}

#[test]
fn a_sealed_document_reads_back_equal() {
    let sealed = acme().sealed().unwrap();
    assert_eq!(TenantConfig::read(&document(&sealed)).unwrap(), sealed);
}

#[test]
fn a_document_changed_after_sealing_is_refused() {
    let mut tampered = acme().sealed().unwrap();
    tampered.suspended = true;
    let error = TenantConfig::read(&document(&tampered)).unwrap_err();
    assert!(
        matches!(error, TenantConfigError::RevisionMismatch { .. }),
        "got {error}"
    );
}

#[test]
fn a_document_for_newer_readers_is_refused_even_if_its_shape_is_unknown() {
    let document = r#"{"schemaVersion": 9, "minReader": 9, "shape": "of the future"}"#;
    let error = TenantConfig::read(document).unwrap_err();
    assert!(
        matches!(error, TenantConfigError::TooNew { min_reader: 9 }),
        "got {error}"
    );
}

#[test]
fn bounds_that_an_organization_leaves_alone_are_not_in_its_document() {
    let mut config = acme();
    assert!(!document(&config).contains("concurrency"));
    config.concurrency.requests = 5;
    let sealed = config.sealed().unwrap();
    assert_eq!(TenantConfig::read(&document(&sealed)).unwrap(), sealed);
}

#[test]
fn sealing_is_stable() {
    let sealed = acme().sealed().unwrap();
    assert_eq!(sealed.clone().sealed().unwrap().revision, sealed.revision);
}

#[test]
fn a_document_of_before_users_could_add_servers_is_sealed_as_it_was() {
    let sealed = document(&acme().sealed().unwrap());
    assert!(!sealed.contains("userServers"), "{sealed}");
    assert!(!TenantConfig::read(&sealed).unwrap().user_servers);
}
