//! How a person or a supervisor asks the program to end.

use tokio::signal::unix::{SignalKind, signal};

/// Completes on SIGINT (Ctrl-C) or SIGTERM. A signal that cannot be listened
/// for keeps its default effect, which ends the process.
pub(crate) async fn interrupted() {
    let caught = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = caught(SignalKind::interrupt()) => {}
        () = caught(SignalKind::terminate()) => {}
    }
}
