use agentapi_crds::conditions::reasons;
use agentapi_crds::tenant_config::{CredentialScope, ProcessValue, ServerTarget};
use agentapi_crds::{McpServer, names};

use super::validate;
use crate::fixtures::{remote, secret, server, settings, valid};
use crate::inputs::{SecretMetadata, Secrets};
use crate::mcp_server::{Surroundings, ValidatedServer};
use crate::problem::Member;
use crate::settings::{Placement, Settings};

/// Everything that judging a server needs, with the usual answers.
struct Case {
    organization: &'static str,
    siblings: Vec<McpServer>,
    secrets: Vec<SecretMetadata>,
    settings: Settings,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            organization: "",
            siblings: Vec::new(),
            secrets: vec![secret("token")],
            settings: settings(),
        }
    }
}

impl Case {
    fn judge(&self, server: &McpServer) -> Member<ValidatedServer> {
        let siblings: Vec<_> = self.siblings.iter().collect();
        let secrets: Secrets = self.secrets.iter().cloned().collect();
        let surroundings = Surroundings {
            organization: &valid(self.organization),
            siblings: &siblings,
            secrets: &secrets,
            settings: &self.settings,
        };
        validate(server, &surroundings)
    }

    fn accept(&self, server: &McpServer) -> ValidatedServer {
        match self.judge(server) {
            Member::Valid(valid) => valid,
            refused => panic!("the server was refused: {:?}", refused.problems()),
        }
    }

    /// Fields of the problems of a server that keeps what it had.
    fn invalid(&self, server: &McpServer) -> Vec<String> {
        match self.judge(server) {
            Member::Invalid(problems) => {
                problems.into_iter().map(|problem| problem.field).collect()
            }
            other => panic!("the server is not invalid: {other:?}"),
        }
    }

    /// The message for a server that is withdrawn at once.
    fn withdrawn(&self, server: &McpServer) -> String {
        match self.judge(server) {
            Member::Withdrawn(problem) => problem.to_string(),
            other => panic!("the server is not withdrawn: {other:?}"),
        }
    }
}

const BEARER: &str =
    "remote: {url: 'https://clock.example.com/mcp'}\nauth: {bearer: {secretRef: {name: token}}}";
const STDIO: &str = "stdio:\n  image: registry.example.com/notes:1\n  command: [notes, --quiet]\n  args: [--dir, /tmp]\n  env: [{name: MODE, value: fast}, {name: KEY, secretRef: {name: token}}]";

#[test]
fn a_bearer_becomes_a_header_that_names_the_secrets_version() {
    let accepted = Case::default().accept(&server("clock", BEARER));
    let header = &accepted.config.credentials[0];
    let found = (
        header.header.as_str(),
        header.prefix.as_str(),
        header.secret.resource_version.as_str(),
    );
    assert_eq!(found, ("authorization", "Bearer ", "7"));
}

#[test]
fn a_remote_server_needs_no_workload() {
    assert_eq!(Case::default().accept(&remote("clock")).workload, None);
}

#[test]
fn a_disabled_server_is_withdrawn() {
    let disabled = server(
        "clock",
        "remote: {url: 'https://clock.example.com'}\ndisabled: true",
    );
    assert!(
        Case::default()
            .withdrawn(&disabled)
            .starts_with("spec.disabled")
    );
}

#[test]
fn a_missing_secret_withdraws_the_server() {
    let case = Case {
        secrets: Vec::new(),
        ..Case::default()
    };
    let message = case.withdrawn(&server("clock", BEARER));
    assert!(
        message.contains("Secret org-acme/token does not exist"),
        "{message}"
    );
}

#[test]
fn a_secret_without_the_label_withdraws_the_server() {
    let unlabelled = SecretMetadata {
        labels: Default::default(),
        ..secret("token")
    };
    let case = Case {
        secrets: vec![unlabelled],
        ..Case::default()
    };
    let message = case.withdrawn(&server("clock", BEARER));
    assert!(
        message.contains("lacks the label agentapi.dev/use=credential"),
        "{message}"
    );
}

#[test]
fn a_secret_of_another_type_withdraws_the_server() {
    let typed = SecretMetadata {
        secret_type: "kubernetes.io/tls".to_owned(),
        ..secret("token")
    };
    let case = Case {
        secrets: vec![typed],
        ..Case::default()
    };
    let message = case.withdrawn(&server("clock", BEARER));
    assert!(message.contains("only Opaque Secrets"), "{message}");
}

#[test]
fn a_secret_without_the_key_withdraws_the_server() {
    let empty = SecretMetadata {
        keys: Default::default(),
        ..secret("token")
    };
    let case = Case {
        secrets: vec![empty],
        ..Case::default()
    };
    let message = case.withdrawn(&server("clock", BEARER));
    assert!(message.contains("has no key `value`"), "{message}");
}

#[test]
fn a_secret_of_another_namespace_is_not_found() {
    let foreign = SecretMetadata {
        namespace: "org-other".to_owned(),
        ..secret("token")
    };
    let case = Case {
        secrets: vec![foreign],
        ..Case::default()
    };
    let message = case.withdrawn(&server("clock", BEARER));
    assert!(message.contains("does not exist"), "{message}");
}

fn bound_to(hosts: &str) -> Case {
    let annotation = ("agentapi.dev/allowed-hosts".to_owned(), hosts.to_owned());
    let bound = SecretMetadata {
        annotations: [annotation].into(),
        ..secret("token")
    };
    Case {
        secrets: vec![bound],
        ..Case::default()
    }
}

#[test]
fn a_secret_bound_to_the_servers_host_is_sent() {
    bound_to("other.example.com, clock.example.com").accept(&server("clock", BEARER));
}

#[test]
fn a_secret_bound_to_other_hosts_is_not_sent() {
    let message = bound_to("other.example.com").withdrawn(&server("clock", BEARER));
    assert!(
        message.contains("may not be sent to clock.example.com"),
        "{message}"
    );
}

#[test]
fn a_secret_bound_to_hosts_goes_into_no_process() {
    let message = bound_to("clock.example.com").withdrawn(&server("notes", STDIO));
    assert!(
        message.contains("cannot be kept inside a process"),
        "{message}"
    );
}

#[test]
fn fields_that_are_not_supported_yet_are_each_named() {
    let cases = [
        (
            "spec.auth.tokenExchange",
            "auth: {tokenExchange: {tokenEndpoint: 'https://id.example.com/token', clientRef: {name: app}, audience: a}}",
        ),
        ("spec.credentialScope", "credentialScope: User"),
        (
            "spec.tools.authorize",
            "tools: {authorize: [{tools: ['*'], rule: 'true'}]}",
        ),
        (
            "spec.tools.requireApproval",
            "tools: {requireApproval: ['*']}",
        ),
        ("spec.tools.pin", "tools: {pin: Warn}"),
        ("spec.tools.mode", "tools: {mode: Shadow}"),
        ("spec.limits.concurrency", "limits: {concurrency: 3}"),
    ];
    for (field, spec) in cases {
        let spec = format!("remote: {{url: 'https://clock.example.com'}}\n{spec}");
        assert_eq!(
            Case::default().invalid(&server("clock", &spec)),
            [field],
            "for {spec}"
        );
    }
}

const OAUTH: &str = "remote: {url: 'https://clock.example.com/mcp'}\ncredentialScope: User\n\
     auth: {oauth: {provider: Oidc, issuer: 'https://id.example.com', clientRef: {name: app}, scopes: [read]}}";

/// A case with the Secret `app`, a client registration.
fn with_client(keys: &[&str]) -> Case {
    let app = SecretMetadata {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..secret("app")
    };
    Case {
        secrets: vec![app],
        ..Case::default()
    }
}

#[test]
fn an_oauth_client_becomes_references_at_a_version() {
    let accepted = with_client(&["clientId", "clientSecret"]).accept(&server("clock", OAUTH));
    let oauth = accepted
        .config
        .oauth
        .expect("the settings are in the document");
    let client = oauth.client.expect("the client is in the document");
    let secret = client.secret.expect("the client has a secret");
    let found = (
        client.id.key.as_str(),
        secret.key.as_str(),
        secret.resource_version.as_str(),
    );
    assert_eq!(found, ("clientId", "clientSecret", "7"));
    assert_eq!(accepted.config.credential_scope, CredentialScope::User);
}

#[test]
fn a_client_without_a_secret_is_a_public_one() {
    let accepted = with_client(&["clientId"]).accept(&server("clock", OAUTH));
    let client = accepted.config.oauth.and_then(|oauth| oauth.client);
    assert_eq!(client.expect("the client is in the document").secret, None);
}

#[test]
fn a_missing_oauth_client_withdraws_the_server() {
    let message = Case::default().withdrawn(&server("clock", OAUTH));
    assert!(
        message.contains("Secret org-acme/app does not exist"),
        "{message}"
    );
}

#[test]
fn a_client_secret_bound_to_hosts_keeps_them_in_the_document() {
    let mut case = with_client(&["clientId", "clientSecret"]);
    let annotation = names::ALLOWED_HOSTS_ANNOTATION.to_owned();
    let hosts = "id.example.com, Token.example.com".to_owned();
    case.secrets[0].annotations.insert(annotation, hosts);
    let accepted = case.accept(&server("clock", OAUTH));
    let client = accepted.config.oauth.and_then(|oauth| oauth.client);
    let hosts = client.expect("the client is in the document").allowed_hosts;
    assert_eq!(hosts, ["id.example.com", "token.example.com"]);
}

#[test]
fn a_client_secret_bound_to_other_hosts_is_not_sent_to_github() {
    let mut case = with_client(&["clientId", "clientSecret"]);
    let annotation = names::ALLOWED_HOSTS_ANNOTATION.to_owned();
    case.secrets[0]
        .annotations
        .insert(annotation, "example.com".to_owned());
    let github = "remote: {url: 'https://clock.example.com'}\nauth: {oauth: {provider: GitHub, clientRef: {name: app}}}";
    let message = case.withdrawn(&server("clock", github));
    assert!(
        message.contains("may not be sent to github.com"),
        "{message}"
    );
}

#[test]
fn a_registration_is_not_for_whichever_server_the_upstream_names() {
    let found = "remote: {url: 'https://clock.example.com'}\nauth: {oauth: {provider: Mcp, clientRef: {name: app}}}";
    let invalid = with_client(&["clientId"]).invalid(&server("clock", found));
    assert_eq!(invalid, ["spec.auth.oauth.issuer"]);
}

#[test]
fn the_older_transport_is_not_supported_yet() {
    let old = server(
        "clock",
        "remote: {url: 'https://clock.example.com', transport: Sse}",
    );
    assert_eq!(Case::default().invalid(&old), ["spec.remote.transport"]);
}

#[test]
fn a_url_that_carries_credentials_is_refused() {
    let leaky = server(
        "clock",
        "remote: {url: 'https://me:secret@clock.example.com'}",
    );
    assert_eq!(Case::default().invalid(&leaky), ["spec.remote.url"]);
}

#[test]
fn a_malformed_glob_is_refused_with_its_place() {
    let spec = "remote: {url: 'https://clock.example.com'}\ntools: {deny: ['[']}";
    assert_eq!(
        Case::default().invalid(&server("clock", spec)),
        ["spec.tools.deny[0]"]
    );
}

#[test]
fn a_timeout_out_of_range_is_refused() {
    let spec = "remote: {url: 'https://clock.example.com'}\nresilience: {timeout: 11m}";
    assert_eq!(
        Case::default().invalid(&server("clock", spec)),
        ["spec.resilience.timeout"]
    );
}

#[test]
fn the_later_of_two_servers_with_one_prefix_is_refused() {
    let spec = "remote: {url: 'https://b.example.com'}\ntools: {prefix: a}";
    let case = Case {
        siblings: vec![remote("a")],
        ..Case::default()
    };
    assert_eq!(case.invalid(&server("b", spec)), ["spec.tools.prefix"]);
}

#[test]
fn the_earlier_of_two_servers_with_one_prefix_is_kept() {
    let later = server(
        "b",
        "remote: {url: 'https://b.example.com'}\ntools: {prefix: a}",
    );
    let case = Case {
        siblings: vec![later],
        ..Case::default()
    };
    case.accept(&remote("a"));
}

#[test]
fn an_image_of_a_foreign_registry_is_refused() {
    let case = Case {
        organization: "registries: [registry.example.com/acme/]",
        ..Case::default()
    };
    assert_eq!(case.invalid(&server("notes", STDIO)), ["spec.stdio.image"]);
}

#[test]
fn a_container_is_reached_by_its_service() {
    let spec = "container: {image: 'registry.example.com/box:1', port: 8000, path: /x}";
    let accepted = Case::default().accept(&server("box", spec));
    let expected = ServerTarget::InCluster {
        namespace: "org-acme".to_owned(),
        service: "box".to_owned(),
        port: 8000,
        path: "/x".to_owned(),
        bridge: false,
    };
    assert_eq!(accepted.config.target, expected);
}

#[test]
fn a_stdio_server_is_reached_by_its_bridge_in_a_cluster() {
    let accepted = Case::default().accept(&server("notes", STDIO));
    assert!(matches!(
        accepted.config.target,
        ServerTarget::InCluster {
            port: 8080,
            bridge: true,
            ..
        }
    ));
}

#[test]
fn a_stdio_server_without_a_bridge_to_run_is_refused() {
    let case = Case {
        settings: Settings::new(Placement::Cluster),
        ..Case::default()
    };
    assert_eq!(case.invalid(&server("notes", STDIO)), ["spec.stdio"]);
}

#[test]
fn more_than_one_replica_of_a_stdio_server_is_refused() {
    let spec = format!("{STDIO}\nreplicas: 2");
    assert_eq!(
        Case::default().invalid(&server("notes", &spec)),
        ["spec.replicas"]
    );
}

#[test]
fn a_stdio_server_is_a_process_in_the_embedded_mode() {
    let case = Case {
        settings: Settings::new(Placement::Embedded),
        ..Case::default()
    };
    let ServerTarget::Process { command, args, env } =
        case.accept(&server("notes", STDIO)).config.target
    else {
        panic!("the server is not a process");
    };
    let literal = env.get("MODE") == Some(&ProcessValue::Literal("fast".to_owned()));
    let secret = matches!(env.get("KEY"), Some(ProcessValue::Secret(reference)) if reference.name == "token");
    assert_eq!(
        (command.len(), args.len(), literal, secret),
        (2, 2, true, true)
    );
}

#[test]
fn a_container_is_refused_in_the_embedded_mode() {
    let case = Case {
        settings: Settings::new(Placement::Embedded),
        ..Case::default()
    };
    let spec = "container: {image: 'registry.example.com/box:1', port: 8000}";
    let member = case.judge(&server("box", spec));
    assert_eq!(member.problems()[0].reason, reasons::NOT_SUPPORTED);
}

#[test]
fn a_stdio_server_cannot_set_what_configures_its_bridge() {
    let spec = "stdio:\n  image: registry.example.com/notes:1\n  command: [notes]\n  env: [{name: AGENTAPI_BRIDGE_JWKS, value: forged}]";
    assert_eq!(
        Case::default().invalid(&server("notes", spec)),
        ["spec.stdio.env[0].name"]
    );
}

#[test]
fn nothing_runs_for_a_suspended_organization() {
    let spec = "container: {image: 'registry.example.com/box:1', port: 8000}\nreplicas: 3";
    let case = Case {
        organization: "suspended: true",
        ..Case::default()
    };
    let workload = case.accept(&server("box", spec)).workload;
    assert_eq!(workload.map(|workload| workload.replicas), Some(0));
}
