//! `PromptPolicy`: checked here, served by the gateway from its organization's document.

mod validate;

pub use validate::{level_of, validate};
