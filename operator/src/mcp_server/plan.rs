//! The objects of one `McpServer`: none for remote servers, otherwise a
//! Deployment and a Service that satisfy the Pod Security level `restricted`.

use std::collections::BTreeMap;

use agentapi_crds::mcp_server::Resources;
use agentapi_crds::tenant_config::ProcessValue;
use serde_json::{Value, json};

use super::validated::{ValidatedServer, Workload, WorkloadProgram};
use crate::object::{Kind, Object, Owner, ServerOwner};
use crate::organization::WORKLOAD_SERVICE_ACCOUNT;

/// Where the bridge is copied to and started from.
const BRIDGE_DIRECTORY: &str = "/agentapi";
/// The gateway's program inside of its image and beside the server.
const BRIDGE_PROGRAM: &str = "/agentapi/agentapi-gateway";
/// User and group of all containers, where the image names none.
const RUN_AS: i64 = 65532;
/// Requests of a server that states none.
const DEFAULT_REQUESTS: [(&str, &str); 2] = [("cpu", "50m"), ("memory", "64Mi")];
/// Limits of a server that states none.
const DEFAULT_LIMITS: [(&str, &str); 2] = [("cpu", "1"), ("memory", "512Mi")];

/// The objects of a server, in the order in which they are applied.
pub fn plan(organization: &Owner, namespace: &str, server: &ValidatedServer) -> Vec<Object> {
    let owner = Owner {
        server: Some(ServerOwner {
            name: server.name.clone(),
            uid: server.uid.clone(),
        }),
        ..organization.clone()
    };
    server.workload.as_ref().map_or_else(Vec::new, |workload| {
        vec![
            service(&owner, namespace, &server.name, workload),
            deployment(&owner, namespace, &server.name, workload),
        ]
    })
}

fn service(owner: &Owner, namespace: &str, name: &str, workload: &Workload) -> Object {
    let spec = json!({
        "type": "ClusterIP",
        "selector": owner.labels(),
        "ports": [{"name": "mcp", "port": workload.port, "targetPort": workload.port, "protocol": "TCP"}],
    });
    owner.object(Kind::Service, Some(namespace), name, json!({"spec": spec}))
}

fn deployment(owner: &Owner, namespace: &str, name: &str, workload: &Workload) -> Object {
    let spec = json!({
        "replicas": workload.replicas,
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": owner.labels()},
        "template": {
            "metadata": {"labels": owner.labels()},
            "spec": pod(workload),
        },
    });
    owner.object(
        Kind::Deployment,
        Some(namespace),
        name,
        json!({"spec": spec}),
    )
}

fn pod(workload: &Workload) -> Value {
    let mut pod = json!({
        "serviceAccountName": WORKLOAD_SERVICE_ACCOUNT,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": RUN_AS,
            "runAsGroup": RUN_AS,
            "fsGroup": RUN_AS,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [server_container(workload)],
        "volumes": volumes(workload),
    });
    if let WorkloadProgram::Bridge { gateway_image, .. } = &workload.program {
        pod["initContainers"] = json!([bridge_copy(gateway_image)]);
    }
    pod
}

fn server_container(workload: &Workload) -> Value {
    let mut container = json!({
        "name": "server",
        "image": workload.image,
        "ports": [{"name": "mcp", "containerPort": workload.port, "protocol": "TCP"}],
        "readinessProbe": {"tcpSocket": {"port": workload.port}, "periodSeconds": 5},
        "resources": resources(&workload.resources),
        "securityContext": container_security(),
    });
    let mut mounts = vec![json!({"name": "tmp", "mountPath": "/tmp"})];
    match &workload.program {
        WorkloadProgram::Http { env } => {
            let env: Vec<_> = env
                .iter()
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect();
            container["env"] = json!(env);
            if !workload.args.is_empty() {
                container["args"] = json!(workload.args);
            }
        }
        WorkloadProgram::Bridge {
            jwks,
            audience,
            command,
            env,
            ..
        } => {
            let own = [
                json!({"name": "AGENTAPI_BRIDGE_AUDIENCE", "value": audience}),
                json!({"name": "AGENTAPI_BRIDGE_JWKS", "value": jwks}),
            ];
            let env: Vec<_> = own
                .into_iter()
                .chain(env.iter().map(process_variable))
                .collect();
            container["env"] = json!(env);
            container["command"] = json!([BRIDGE_PROGRAM, "bridge", "--"]);
            container["args"] = json!(command.iter().chain(&workload.args).collect::<Vec<_>>());
            mounts.push(json!({"name": "bridge", "mountPath": BRIDGE_DIRECTORY, "readOnly": true}));
        }
    }
    container["volumeMounts"] = json!(mounts);
    container
}

fn process_variable((name, value): (&String, &ProcessValue)) -> Value {
    match value {
        ProcessValue::Literal(value) => json!({"name": name, "value": value}),
        ProcessValue::Secret(reference) => json!({
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}},
        }),
    }
}

/// Copies the gateway's static binary, whose image has no shell: the program copies itself.
fn bridge_copy(gateway_image: &str) -> Value {
    json!({
        "name": "bridge",
        "image": gateway_image,
        "command": ["agentapi-gateway", "bridge", "--install", BRIDGE_PROGRAM],
        "volumeMounts": [{"name": "bridge", "mountPath": BRIDGE_DIRECTORY}],
        "resources": resources(&Resources::default()),
        "securityContext": container_security(),
    })
}

fn volumes(workload: &Workload) -> Value {
    let mut volumes = vec![json!({"name": "tmp", "emptyDir": {}})];
    if matches!(workload.program, WorkloadProgram::Bridge { .. }) {
        volumes.push(json!({"name": "bridge", "emptyDir": {}}));
    }
    json!(volumes)
}

fn container_security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

/// What is stated; the defaults only where nothing is, since a default limit
/// beside a stated request (or the other way round) could contradict it.
fn resources(stated: &Resources) -> Value {
    if stated.requests.is_empty() && stated.limits.is_empty() {
        json!({"requests": amounts(DEFAULT_REQUESTS), "limits": amounts(DEFAULT_LIMITS)})
    } else {
        json!({"requests": stated.requests, "limits": stated.limits})
    }
}

fn amounts(amounts: [(&'static str, &'static str); 2]) -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from(amounts)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
