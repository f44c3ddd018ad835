use std::collections::BTreeSet;

use agentapi_crds::names;
use agentapi_crds::tenant_config::{PromptLevel, TenantConfig};
use agentapi_crds::{McpServer, Organization, PromptPolicy};

use kube::ResourceExt;

use super::{Assessment, View, assess};
use crate::fixtures::{organization, organization_since, prompt, remote, server, settings};
use crate::inputs::Secrets;
use crate::object::Kind;

/// An organization and what is around it.
struct World {
    organization: Organization,
    others: Vec<Organization>,
    servers: Vec<McpServer>,
    prompts: Vec<PromptPolicy>,
    unreachable: BTreeSet<String>,
    live: Option<TenantConfig>,
}

impl World {
    fn new(spec: &str) -> Self {
        Self {
            organization: organization(spec),
            others: Vec::new(),
            servers: Vec::new(),
            prompts: Vec::new(),
            unreachable: BTreeSet::new(),
            live: None,
        }
    }

    fn assess(&self) -> Assessment {
        let all: Vec<_> = self.others.iter().collect();
        let servers: Vec<_> = self.servers.iter().collect();
        let prompts: Vec<_> = self.prompts.iter().collect();
        assess(&View {
            organization: &self.organization,
            all: &all,
            servers: &servers,
            prompts: &prompts,
            secrets: &Secrets::default(),
            unreachable: &self.unreachable,
            live: self.live.as_ref(),
            settings: &settings(),
        })
    }

    fn document(&self) -> TenantConfig {
        let document = self.assess().document.expect("the document fits");
        document.expect("there is a document")
    }

    /// The same world after its document went live.
    fn live(mut self) -> Self {
        self.live = Some(self.document());
        self
    }
}

const INVALID_SESSIONS: &str = "sessions: {idleTimeout: 2h, maxLifetime: 1h}";

fn server_names(document: &TenantConfig) -> Vec<&str> {
    document
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect()
}

#[test]
fn an_invalid_server_keeps_its_entry_in_the_live_document() {
    let mut world = World {
        servers: vec![remote("a"), remote("b")],
        ..World::new("")
    }
    .live();
    let live = world.live.clone();
    world.servers[0] = server(
        "a",
        "remote: {url: 'https://new.example.com'}\ntools: {pin: Enforce}",
    );
    assert_eq!(Some(world.document()), live);
}

#[test]
fn an_invalid_server_changes_nothing_for_the_others() {
    let mut world = World {
        servers: vec![remote("a"), remote("b")],
        ..World::new("")
    }
    .live();
    world.servers[0] = server(
        "a",
        "remote: {url: 'https://a.example.com'}\ntools: {pin: Enforce}",
    );
    world.servers[1] = server("b", "remote: {url: 'https://new.example.com'}");
    let document = world.document();
    let b = serde_json::to_string(&document.servers[1].target).expect("it serializes");
    assert!(b.contains("new.example.com"), "{b}");
}

#[test]
fn an_invalid_server_that_was_never_valid_is_left_out() {
    let world = World {
        servers: vec![
            remote("a"),
            server(
                "b",
                "remote: {url: 'https://b.example.com'}\ntools: {pin: Enforce}",
            ),
        ],
        ..World::new("")
    };
    assert_eq!(server_names(&world.document()), ["a"]);
}

#[test]
fn a_disabled_server_goes_at_once() {
    let mut world = World {
        servers: vec![remote("a")],
        ..World::new("")
    }
    .live();
    world.servers[0].spec.disabled = true;
    assert_eq!(server_names(&world.document()), Vec::<&str>::new());
}

#[test]
fn a_deleted_server_goes_at_once() {
    let mut world = World {
        servers: vec![remote("a")],
        ..World::new("")
    }
    .live();
    world.servers.clear();
    assert_eq!(server_names(&world.document()), Vec::<&str>::new());
}

#[test]
fn a_server_under_deletion_goes_at_once() {
    let mut world = World {
        servers: vec![remote("a")],
        ..World::new("")
    }
    .live();
    world.servers[0].metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        ));
    assert_eq!(server_names(&world.document()), Vec::<&str>::new());
}

#[test]
fn a_server_whose_secret_is_gone_goes_at_once() {
    let mut world = World {
        servers: vec![remote("a"), remote("b")],
        ..World::new("")
    }
    .live();
    world.servers[0] = server(
        "a",
        "remote: {url: 'https://a.example.com'}\nauth: {bearer: {secretRef: {name: gone}}}",
    );
    assert_eq!(server_names(&world.document()), ["b"]);
}

#[test]
fn an_invalid_prompt_keeps_its_text() {
    let mut world = World {
        prompts: vec![prompt("org-acme", "p", "template: before")],
        ..World::new("")
    }
    .live();
    world.prompts[0] = prompt("org-acme", "p", "template: 'after {{ unknown }}'");
    assert_eq!(world.document().prompts[0].template, "before");
}

#[test]
fn prompts_are_ordered_by_level_then_priority_then_name() {
    let world = World {
        prompts: vec![
            prompt("org-acme", "b", "{template: x, priority: 5}"),
            prompt("org-acme", "a", "{template: x, priority: 5}"),
            prompt("org-acme", "c", "{template: x, priority: 9}"),
            prompt("agentapi-system", "global", "{template: x, priority: -5}"),
        ],
        ..World::new("")
    };
    let document = world.document();
    let order: Vec<_> = document
        .prompts
        .iter()
        .map(|prompt| prompt.name.as_str())
        .collect();
    assert_eq!(order, ["global", "c", "a", "b"]);
}

#[test]
fn a_global_and_an_own_prompt_of_one_name_are_two() {
    let world = World {
        prompts: vec![
            prompt("org-acme", "p", "template: own"),
            prompt("agentapi-system", "p", "template: global"),
        ],
        ..World::new("")
    };
    let document = world.document();
    let levels: Vec<_> = document.prompts.iter().map(|prompt| prompt.level).collect();
    assert_eq!(levels, [PromptLevel::Global, PromptLevel::Organization]);
}

#[test]
fn equal_inputs_give_equal_revisions() {
    let revision = || {
        World {
            servers: vec![remote("b"), remote("a")],
            ..World::new("")
        }
        .document()
        .revision
    };
    assert_eq!(revision(), revision());
}

#[test]
fn the_order_of_servers_does_not_change_the_revision() {
    let revision = |names: [&str; 2]| {
        World {
            servers: names.map(remote).into(),
            ..World::new("")
        }
        .document()
        .revision
    };
    assert_eq!(revision(["a", "b"]), revision(["b", "a"]));
}

#[test]
fn an_organization_that_was_never_valid_has_no_objects() {
    assert_eq!(World::new(INVALID_SESSIONS).assess().objects, []);
}

#[test]
fn an_organization_that_becomes_invalid_keeps_its_document() {
    let mut world = World {
        servers: vec![remote("a")],
        ..World::new("")
    }
    .live();
    world.organization = organization(INVALID_SESSIONS);
    assert_eq!(Some(world.document()), world.live);
}

#[test]
fn an_organization_that_becomes_invalid_keeps_its_other_objects_untouched() {
    let mut world = World::new("").live();
    world.organization = organization(INVALID_SESSIONS);
    let kinds: Vec<_> = world
        .assess()
        .objects
        .iter()
        .map(|object| object.kind)
        .collect();
    assert_eq!(kinds, [Kind::ConfigMap]);
}

#[test]
fn suspension_acts_at_once_even_if_the_rest_is_invalid() {
    let mut world = World::new("").live();
    world.organization = organization(&format!("{INVALID_SESSIONS}\nsuspended: true"));
    assert!(world.document().suspended);
}

#[test]
fn a_disabled_server_of_an_invalid_organization_goes_at_once() {
    let mut world = World {
        servers: vec![remote("a"), remote("b")],
        ..World::new("")
    }
    .live();
    world.organization = organization(INVALID_SESSIONS);
    world.servers[0].spec.disabled = true;
    assert_eq!(server_names(&world.document()), ["b"]);
}

#[test]
fn tokens_that_an_earlier_organization_claims_leave_the_live_document_at_once() {
    let issuers = "identity: {issuers: [{issuer: 'https://id.example.com', audiences: [a], organizationValue: x}]}";
    let mut world = World::new("");
    world.organization = organization_since("acme", 2026, issuers);
    world.live = Some(world.document());
    world.others = vec![organization_since("first", 2025, issuers)];
    assert_eq!(world.document().identity.issuers, []);
}

const CONTAINER: &str = "container: {image: 'registry.example.com/box:1', port: 8000}";

#[test]
fn a_server_is_withheld_while_its_service_is_somebody_elses() {
    let world = World {
        servers: vec![server("box", CONTAINER), remote("a")],
        unreachable: ["box".to_owned(), "a".to_owned()].into(),
        ..World::new("")
    };
    assert_eq!(server_names(&world.document()), ["a"]);
}

#[test]
fn a_server_whose_service_went_leaves_the_document_at_once() {
    let mut world = World {
        servers: vec![server("box", CONTAINER)],
        ..World::new("")
    }
    .live();
    assert_eq!(server_names(&world.document()), ["box"]);
    world.unreachable = ["box".to_owned()].into();
    assert_eq!(server_names(&world.document()), Vec::<&str>::new());
}

#[test]
fn a_paused_server_keeps_what_it_had() {
    let mut world = World {
        servers: vec![remote("a")],
        ..World::new("")
    }
    .live();
    world.servers = vec![server("a", "remote: {url: 'https://other.example.com'}")];
    let annotations = world.servers[0].annotations_mut();
    annotations.insert(names::PAUSED_ANNOTATION.to_owned(), "true".to_owned());
    let before = world.live.clone().expect("there is a document");
    assert_eq!(world.document().servers, before.servers);
}
