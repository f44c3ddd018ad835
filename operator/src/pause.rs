//! What the annotation `agentapi.dev/paused` does.

use agentapi_crds::names;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use kube_runtime::controller::Action;

use crate::apply::{Own, WriteError};
use crate::conditions::paused;
use crate::context::Context;

/// Whether the annotation `agentapi.dev/paused` is `true`.
pub(crate) fn is_paused(resource: &impl Resource) -> bool {
    let annotation = resource.annotations().get(names::PAUSED_ANNOTATION);
    annotation.is_some_and(|value| value == "true")
}

/// Says that nothing goes on. A resource that was paused before the operator
/// ever did anything for it is not touched at all.
pub(crate) async fn pause<K: Own>(resource: &K, context: &Context) -> Result<Action, WriteError> {
    if let Some(status) = resource.status() {
        let mut status = status.clone();
        let conditions = K::conditions(&mut status);
        *conditions = paused(conditions, resource.meta().generation, Timestamp::now());
        context.writer.write_status(resource, &status).await?;
    }
    Ok(Action::await_change())
}
