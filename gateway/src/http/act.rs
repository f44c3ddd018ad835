//! How a recorded act ends.

use super::{ErrorCode, Problem};
use crate::audit::OpenAct;
use crate::domain::audit::Outcome;

/// Records how an act ended, and only then lets its result go.
pub(super) async fn finished<T>(act: OpenAct, result: Result<T, Problem>) -> Result<T, Problem> {
    match &result {
        Ok(_) => act.finish(Outcome::Success, None).await?,
        Err(problem) => {
            let outcome = match problem.code() {
                ErrorCode::NotFound | ErrorCode::Forbidden => Outcome::Denied,
                _ => Outcome::Failure,
            };
            act.finish(outcome, Some(problem.code().name())).await?;
        }
    }
    result
}
