use super::*;

fn cidr(range: &str, ports: &[u16]) -> EgressConfig {
    EgressConfig {
        destination: EgressDestination::Cidr(range.parse().unwrap()),
        ports: ports.to_vec(),
    }
}

fn host(name: &str) -> EgressConfig {
    EgressConfig {
        destination: EgressDestination::Host(name.to_owned()),
        ports: vec![443],
    }
}

fn check(
    rules: &[EgressConfig],
    name: &str,
    port: u16,
    address: &str,
    allowed: &[&str],
) -> Result<(), Refusal> {
    let allowed: Vec<IpNet> = allowed.iter().map(|range| range.parse().unwrap()).collect();
    EgressPolicy::declared(rules).check(name, port, address.parse().unwrap(), &allowed)
}

#[test]
fn a_declared_range_is_dialled_on_its_ports_only() {
    let rules = [cidr("8.8.8.0/24", &[443])];
    assert_eq!(check(&rules, "dns.example", 443, "8.8.8.8", &[]), Ok(()));
    assert!(
        check(&rules, "dns.example", 80, "8.8.8.8", &[]).is_err(),
        "port 80 is not declared"
    );
}

#[test]
fn nothing_declared_means_nothing_dialled() {
    assert!(matches!(
        check(&[], "example.com", 443, "1.1.1.1", &[]),
        Err(Refusal::Undeclared { .. })
    ));
}

#[test]
fn a_declaration_does_not_open_what_the_platform_denies() {
    let everything = [cidr("0.0.0.0/0", &[]), host("metadata.internal")];
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::ffff:127.0.0.1",
    ] {
        let refusal = check(&everything, "metadata.internal", 443, address, &[]);
        assert!(
            matches!(refusal, Err(Refusal::Denied { .. })),
            "{address}: {refusal:?}"
        );
    }
}

#[test]
fn what_the_platform_allows_still_has_to_be_declared() {
    assert_eq!(
        check(
            &[cidr("127.0.0.0/8", &[])],
            "localhost",
            80,
            "127.0.0.1",
            &["127.0.0.0/8"]
        ),
        Ok(())
    );
    let undeclared = check(&[], "localhost", 80, "127.0.0.1", &["127.0.0.0/8"]);
    assert!(
        matches!(undeclared, Err(Refusal::Undeclared { .. })),
        "{undeclared:?}"
    );
}

#[test]
fn a_host_rule_binds_the_name() {
    let rules = [host("api.example.com"), host("*.tools.example")];
    for (name, permitted) in [
        ("api.example.com", true),
        ("API.EXAMPLE.COM.", true),
        ("evil-api.example.com", false),
        ("a.tools.example", true),
        ("a.b.tools.example", true),
        ("tools.example", false),
        (".tools.example", false),
        ("eviltools.example", false),
    ] {
        assert_eq!(
            check(&rules, name, 443, "1.1.1.1", &[]).is_ok(),
            permitted,
            "{name}"
        );
    }
}

#[test]
fn a_typed_target_is_only_its_own_service_and_port() {
    let policy = EgressPolicy::in_cluster("org-acme", "notes", 8080);
    let check =
        |name: &str, port, address: &str| policy.check(name, port, address.parse().unwrap(), &[]);
    assert_eq!(check("notes.org-acme.svc", 8080, "10.96.0.7"), Ok(()));
    assert!(
        check("notes.org-globex.svc", 8080, "10.96.0.7").is_err(),
        "another organization's Service"
    );
    assert!(
        check("notes.org-acme.svc", 22, "10.96.0.7").is_err(),
        "another port"
    );
    assert!(
        check("notes.org-acme.svc", 8080, "169.254.169.254").is_err(),
        "a Service made to point at metadata"
    );
    assert!(
        check("notes.org-acme.svc", 8080, "127.0.0.1").is_err(),
        "a Service made to point at loopback"
    );
}
