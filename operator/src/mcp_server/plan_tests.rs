use insta::assert_yaml_snapshot;

use super::plan;
use crate::fixtures::{remote, secret, server, settings, valid};
use crate::inputs::Secrets;
use crate::mcp_server::{Surroundings, validate};
use crate::object::Object;
use agentapi_crds::McpServer;

fn planned(server: &McpServer) -> Vec<Object> {
    let organization = valid("");
    let secrets: Secrets = [secret("token")].into_iter().collect();
    let surroundings = Surroundings {
        organization: &organization,
        siblings: &[],
        secrets: &secrets,
        settings: &settings(),
    };
    let member = validate(server, &surroundings);
    let valid = member
        .valid()
        .unwrap_or_else(|| panic!("{:?}", member.problems()));
    plan(&organization.owner(), &organization.namespace, valid)
}

#[test]
fn a_remote_server_needs_no_objects() {
    assert_eq!(planned(&remote("clock")), []);
}

#[test]
fn a_container_becomes_a_service_and_a_deployment() {
    let spec = "container:\n  image: registry.example.com/box:1\n  port: 8000\n  args: [--verbose]\n  env: [{name: MODE, value: fast}]\nreplicas: 2\nresources: {requests: {cpu: 100m}, limits: {memory: 1Gi}}";
    assert_yaml_snapshot!(planned(&server("box", spec)));
}

#[test]
fn a_stdio_server_becomes_a_service_and_a_deployment_with_the_bridge() {
    let spec = "stdio:\n  image: registry.example.com/notes:1\n  command: [notes, --quiet]\n  args: [--dir, /tmp]\n  env: [{name: MODE, value: fast}, {name: KEY, secretRef: {name: token}}]";
    assert_yaml_snapshot!(planned(&server("notes", spec)));
}
