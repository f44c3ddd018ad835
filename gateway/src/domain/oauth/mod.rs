//! OAuth 2.0 towards authorization servers, as far as it needs no network, no
//! clock and no randomness: what is asked, and what answers are believed.
//!
//! - [`Ticket`]: unguessable values that are handed out and come back: states and cookies.
//! - [`Verifier`]: PKCE (RFC 7636), by S256 only.
//! - [`Profile`]: what is particular about each named provider.
//! - [`Metadata`], [`ProtectedResource`]: discovery (RFC 8414, OpenID Connect, RFC 9728).
//! - [`AuthorizationRequest`], [`Redirected`]: the way through a browser and back (RFC 6749, RFC 9207).
//! - [`TokenSet`]: answers of token endpoints (RFC 6749, section 5).
//! - [`Due`]: when a token is refreshed, and when nothing but consent helps.

mod authorization;
mod discovery;
mod due;
mod metadata;
mod pkce;
mod profile;
mod redirected;
mod resource;
mod ticket;
mod token;

pub use authorization::{AuthorizationRequest, AuthorizationUrlError, resource_is_named};
pub use discovery::{authorization_server_documents, protected_resource_documents};
pub use due::{Due, Standing};
pub use metadata::{Metadata, MetadataError, Revocation};
pub use pkce::Verifier;
pub use profile::{IssuerRule, Profile, Rotation};
pub use redirected::{RedirectError, Redirected};
pub use resource::ProtectedResource;
pub use ticket::Ticket;
pub use token::{TokenError, TokenSet};

#[cfg(test)]
mod authorization_tests;
#[cfg(test)]
mod metadata_tests;
#[cfg(test)]
mod token_tests;
