//! Log lines: one JSON object each, or text for a person's terminal. They go to standard error.

use std::io::IsTerminal;

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info";

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, with the fields of all enclosing spans.
    Json,
    /// Text for a person.
    Text,
}

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// `RUST_LOG` cannot be read.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logs have been set up before.
    #[error("logs are set up twice in one process")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up the logs of this process, filtered by `RUST_LOG`.
///
/// # Errors
/// See [`LogsError`].
pub fn init_logs(format: LogFormat) -> Result<(), LogsError> {
    let filter = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = Some(filter).filter(|filter| !filter.is_empty());
    let filter = filter.as_deref().unwrap_or(DEFAULT_FILTER);
    Ok(log_lines(format, filter, std::io::stderr)?.try_init()?)
}

/// What turns events and spans into lines, as [`init_logs`] sets it up.
///
/// # Errors
/// When the filter cannot be read.
pub fn log_lines<W>(format: LogFormat, filter: &str, writer: W) -> Result<Dispatch, LogsError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(filter)?);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal());
    Ok(match format {
        LogFormat::Json => {
            Dispatch::new(registry.with(lines.json().flatten_event(true).with_current_span(false)))
        }
        LogFormat::Text => Dispatch::new(registry.with(lines.with_target(false))),
    })
}
