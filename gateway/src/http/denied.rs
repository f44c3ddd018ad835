//! Refusals of known callers, on the record of their own organization.

use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::Caller;
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

/// Lets a caller on who holds a role.
pub(super) async fn require_role(
    state: &AppState,
    caller: &Caller,
    context: &RequestContext,
    role: &str,
    resource: &str,
) -> Result<(), Problem> {
    if caller.has_role(role) {
        return Ok(());
    }
    let problem = Problem::new(ErrorCode::Forbidden, format!("the role {role} is needed"));
    Err(denied(state, caller, context, resource, problem).await)
}
