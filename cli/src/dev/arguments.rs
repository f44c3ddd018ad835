//! What the embedded mode is told.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What to serve, where.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of manifests; read again whenever a file in it changes
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: PathBuf,
    /// Address to serve on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Address of /live, /ready and /metrics; a free port unless said otherwise
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) admin_listen: SocketAddr,
    /// Folder that sessions and the audit record are kept in; forgotten at the end without it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}
