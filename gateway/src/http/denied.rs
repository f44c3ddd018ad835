//! Refusals of known callers, on the record of their own organization.

use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::Caller;
use crate::domain::access::Right;
use crate::domain::audit::{Action, Outcome};

/// Records that a caller was refused something, and only then says so.
pub(super) async fn denied(
    state: &AppState,
    caller: &Caller,
    context: &RequestContext,
    resource: &str,
    problem: Problem,
) -> Problem {
    let recorded = state.recorder.record(
        caller.tenant_id(),
        &context.0,
        Action::AccessDenied,
        resource.to_owned(),
        Outcome::Denied,
        Some(problem.code().name()),
    );
    match recorded.await {
        Ok(()) => problem,
        Err(error) => error.into(),
    }
}

/// Lets a caller on who holds a right.
pub(super) async fn require(
    state: &AppState,
    caller: &Caller,
    context: &RequestContext,
    right: Right,
    resource: &str,
) -> Result<(), Problem> {
    if caller.may(right) {
        return Ok(());
    }
    let problem = Problem::new(ErrorCode::Forbidden, lacking(right));
    Err(denied(state, caller, context, resource, problem).await)
}

/// What would help.
fn lacking(right: Right) -> String {
    let roles: Vec<&str> = right.held_by().iter().map(|role| role.name()).collect();
    format!(
        "the right {right} is needed: the roles that hold it are {}",
        roles.join(", ")
    )
}
