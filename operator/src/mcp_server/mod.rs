//! `McpServer`: checked here; a workload where it runs in the cluster; an
//! entry of its organization's document.

mod credentials;
mod image;
mod oauth;
mod place;
mod plan;
mod reconcile;
mod resilience;
mod status;
mod supported;
mod validate;
mod validated;
mod waiting;

pub use credentials::secret_names;
pub(crate) use credentials::{Destination, resolve};
pub use plan::plan;
pub use reconcile::reconcile;
pub use validate::{disabled, validate};
pub use validated::{Surroundings, ValidatedServer, Workload, WorkloadProgram};
