//! `McpServer`: checked here; a workload where it runs in the cluster; an
//! entry of its organization's document.

mod credentials;
mod image;
mod plan;
mod supported;
mod validate;

pub use plan::plan;
pub use validate::{Surroundings, ValidatedServer, Workload, WorkloadProgram, disabled, validate};
