//! Who calls: bearer → [`Caller`].

mod caller;

pub use caller::Caller;
