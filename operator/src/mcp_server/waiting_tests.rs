use serde_json::json;

use super::*;

/// A pod of that spec and status.
fn pod(name: &str, spec: Value, status: Value) -> Pod {
    let pod = json!({"metadata": {"name": name}, "spec": spec, "status": status});
    serde_json::from_value(pod).expect("the fixture is a pod")
}

fn scheduled(status: Value) -> Pod {
    let spec = json!({"nodeName": "node-1", "containers": []});
    pod("notes-1", spec, status)
}

fn container(name: &str, state: Value) -> Value {
    json!([{"name": name, "ready": false, "image": "", "imageID": "", "restartCount": 0, "state": state}])
}

#[test]
fn a_pod_that_no_scheduler_has_seen_is_not_scheduled() {
    let pod = pod(
        "notes-1",
        json!({"containers": []}),
        json!({"phase": "Pending"}),
    );
    assert_eq!(
        waiting_for(None, &[pod]),
        "pod notes-1 is not scheduled: the cluster's scheduler has not found it a node"
    );
}

#[test]
fn a_pod_that_fits_no_node_says_why() {
    let message = "0/3 nodes are available: 3 Insufficient memory.";
    let conditions = json!([{"type": "PodScheduled", "status": "False", "message": message}]);
    let pod = pod(
        "notes-1",
        json!({"containers": []}),
        json!({"conditions": conditions}),
    );
    assert_eq!(
        waiting_for(None, &[pod]),
        format!("pod notes-1 is not scheduled: {message}")
    );
}

#[test]
fn an_image_that_cannot_be_pulled_is_told() {
    let state = json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}});
    let pod = scheduled(json!({"containerStatuses": container("server", state)}));
    assert_eq!(
        waiting_for(None, &[pod]),
        "pod notes-1 has a container `server` that waits: ImagePullBackOff not found"
    );
}

#[test]
fn an_init_container_comes_before_the_server_that_waits_for_it() {
    let ended = json!({"terminated": {"exitCode": 7}});
    let waits = json!({"waiting": {"reason": "PodInitializing"}});
    let pod = scheduled(json!({
        "initContainerStatuses": container("bridge", ended), "containerStatuses": container("server", waits),
    }));
    assert_eq!(
        waiting_for(None, &[pod]),
        "pod notes-1 has a container `bridge` that ended with code 7"
    );
}

#[test]
fn a_pod_on_its_way_is_starting() {
    let state = json!({"waiting": {"reason": "ContainerCreating"}});
    let pod = scheduled(json!({"containerStatuses": container("server", state)}));
    assert_eq!(waiting_for(None, &[pod]), "pod notes-1 is starting");
}

#[test]
fn a_ready_pod_does_not_hide_another() {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let ready = pod("notes-0", json!({"nodeName": "n", "containers": []}), ready);
    let other = scheduled(json!({}));
    assert_eq!(
        waiting_for(None, &[ready, other]),
        "pod notes-1 is starting"
    );
}

#[test]
fn a_quota_that_refuses_the_pods_is_told() {
    let deployment = json!({"status": {"conditions": [
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: agentapi"},
    ]}});
    assert_eq!(
        waiting_for(Some(&deployment), &[]),
        "its pods cannot be created: exceeded quota: agentapi"
    );
}

#[test]
fn a_deployment_without_pods_waits_for_them() {
    assert_eq!(waiting_for(None, &[]), "its pods are not created yet");
}
