//! What a workload without all of its replicas waits for, in words for its owner.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::Value;

/// What keeps the pods of a Deployment from being available.
pub(super) fn waiting_for(deployment: Option<&Value>, pods: &[Pod]) -> String {
    let unready = pods.iter().filter(|pod| !is_ready(pod));
    match unready.min_by_key(|pod| &pod.metadata.name) {
        Some(pod) => {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            format!("pod {name} {}", pod_waits_for(pod))
        }
        None => match deployment.and_then(creation_failure) {
            Some(why) => format!("its pods cannot be created: {why}"),
            None if pods.is_empty() => "its pods are not created yet".to_owned(),
            None => "its pods have only just become ready".to_owned(),
        },
    }
}

fn pod_waits_for(pod: &Pod) -> String {
    if pod
        .spec
        .as_ref()
        .is_none_or(|spec| spec.node_name.is_none())
    {
        let why = condition(pod, "PodScheduled")
            .and_then(|condition| condition.message.as_deref())
            .unwrap_or("the cluster's scheduler has not found it a node");
        return format!("is not scheduled: {why}");
    }
    let status = pod.status.as_ref();
    let containers = status
        .into_iter()
        .flat_map(|status| [&status.init_container_statuses, &status.container_statuses])
        .flatten()
        .flatten();
    containers
        .filter(|container| !container.ready)
        .find_map(container_waits_for)
        .unwrap_or_else(|| "is starting".to_owned())
}

/// Why a container is not ready, if it is more than a start that takes its time.
fn container_waits_for(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    let name = &container.name;
    if let Some(ended) = state
        .terminated
        .as_ref()
        .filter(|ended| ended.exit_code != 0)
    {
        let code = ended.exit_code;
        return Some(format!(
            "has a container `{name}` that ended with code {code}"
        ));
    }
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    // What every pod passes through.
    if ["ContainerCreating", "PodInitializing"].contains(&reason) {
        return None;
    }
    let message = waiting.message.as_deref().unwrap_or_default();
    let why = format!("{reason} {message}");
    Some(format!(
        "has a container `{name}` that waits: {}",
        why.trim()
    ))
}

fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

fn condition<'a>(
    pod: &'a Pod,
    condition_type: &str,
) -> Option<&'a k8s_openapi::api::core::v1::PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == condition_type)
}

/// Why the API server refuses the pods, for example by a quota.
fn creation_failure(deployment: &Value) -> Option<&str> {
    let conditions = deployment.pointer("/status/conditions")?.as_array()?;
    let failure = conditions
        .iter()
        .find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True");
    failure?["message"].as_str()
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
