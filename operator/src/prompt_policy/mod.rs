//! `PromptPolicy`: checked here, served by the gateway from its organization's document.

mod reconcile;
mod validate;

pub use reconcile::reconcile;
pub use validate::{level_of, validate};
