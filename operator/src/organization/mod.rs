//! `Organization`: the namespace, what guards it, and the document that the
//! gateway serves the organization from.

mod assess;
mod claim_index;
mod claims;
mod compose;
mod documents;
mod egress;
mod event_sinks;
mod finalize;
mod identity;
mod names;
mod observe;
mod plan;
mod reconcile;
mod stages;
mod status;
mod supported;
mod takeover;
mod validate;

pub(crate) use assess::without_organization;
pub use assess::{Assessment, View, assess};
pub use claim_index::ClaimIndex;
pub use claims::conflicts;
pub use compose::{ComposeError, Members, compose};
pub use documents::Documents;
pub use event_sinks::EventSinks;
pub(crate) use event_sinks::credential_names;
pub use names::{namespace_of, owner_of, uid_of};
pub use plan::{DEFAULT_DENY, WORKLOAD_SERVICE_ACCOUNT, plan, tenant_config_object};
pub use reconcile::reconcile;
pub use validate::{ValidatedOrganization, validate};
