//! Following the folder of manifests while the gateway runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::installation::Installation;
use crate::failure::Failure;
use crate::manifests::Manifests;

/// How long a folder must be quiet before it is read: editors write in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// Changes of a folder, from the moment of its making.
pub(super) struct Changes {
    folder: PathBuf,
    seen: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches a folder, not the folders in it.
    pub(super) fn of(folder: &Path) -> Result<Self, Failure> {
        let failed = |error| {
            Failure::invalid_input(
                format!("{} cannot be watched", folder.display()),
                "agentapi dev --manifests config/samples",
            )
            .because(error)
        };
        // One place is enough: a change that is not yet read covers those after it.
        let (tell, seen) = mpsc::channel(1);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if event.is_ok_and(|event| is_change(event.kind)) {
                    let _ = tell.try_send(());
                }
            })
            .map_err(failed)?;
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .map_err(failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            seen,
            _watcher: watcher,
        })
    }

    /// Waits for a change and for the quiet after it; false when there will be none.
    async fn settled(&mut self) -> bool {
        if self.seen.recv().await.is_none() {
            return false;
        }
        while tokio::time::timeout(QUIET, self.seen.recv()).await == Ok(Some(())) {}
        true
    }
}

/// Whether an event may have changed what is read. Reading is no change, and
/// would otherwise follow itself.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Applies every change. While the manifests are wrong, the last good state stays live.
pub(super) async fn follow(mut changes: Changes, mut installation: Installation) {
    while changes.settled().await {
        let folder = changes.folder.clone();
        let loaded = tokio::task::spawn_blocking(move || Manifests::load(&folder)).await;
        match loaded {
            Ok(Ok(manifests)) => {
                installation.apply(manifests);
                eprintln!("reloaded {}", changes.folder.display());
            }
            Ok(Err(error)) => {
                let error = agentapi_gateway::telemetry::chain(&error);
                eprintln!("not reloaded, the last good state stays live:\n{error}");
            }
            Err(error) => eprintln!("not reloaded, the last good state stays live: {error}"),
        }
    }
}
