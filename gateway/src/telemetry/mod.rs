//! Logs and metrics.

mod logs;
mod metrics;

pub use logs::{LogFormat, LogsError, init_logs};
pub use metrics::Metrics;
