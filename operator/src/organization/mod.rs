//! `Organization`: the namespace, what guards it, and the document that the
//! gateway serves the organization from.

mod assess;
mod claims;
mod compose;
mod plan;
mod supported;
mod validate;

pub use assess::{Assessment, View, assess};
pub use claims::conflicts;
pub use compose::{ComposeError, Members, compose};
pub use plan::{WORKLOAD_SERVICE_ACCOUNT, plan, tenant_config_object};
pub use validate::{ValidatedOrganization, namespace_of, owner_of, uid_of, validate};
