//! Who calls: bearer → [`Caller`].
//!
//! A bearer is a JWT of an issuer, or an API key of the platform's own. A
//! token's own, still unverified claims only choose the issuer whose keys
//! it is then verified with; everything a [`Caller`] holds is verified.

mod api_key;
mod api_keys;
mod api_server;
mod authenticator;
mod bearer;
mod caller;
mod claims;
mod development;
mod error;
mod issuer;
mod key_ring;
mod key_set;
mod key_source;
mod service_accounts;
#[cfg(test)]
mod test_keys;

pub use api_key::NewApiKey;
pub use authenticator::Authenticator;
pub use bearer::bearer;
pub use caller::Caller;
pub use development::DevelopmentIssuer;
pub use error::AuthError;
pub use issuer::{Issuer, Login};
pub use key_ring::{KeysError, KeysState};
pub use service_accounts::{ServiceAccount, ServiceAccounts};
