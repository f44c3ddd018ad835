//! Logs and metrics.

mod logs;
mod metrics;

pub use logs::{LogFormat, LogsError, init_logs, log_lines};
pub use metrics::Metrics;

/// An error with its sources, as one line for the log. A source that its error
/// already quotes is not repeated.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}
