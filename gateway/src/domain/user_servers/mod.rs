//! Users' own MCP servers: what a user may say of one, and the server that follows from it.
//!
//! - `settings`: where it is and what is used of it.
//! - `credentials`: what authenticates the gateway to it.

mod credentials;
mod settings;

pub use credentials::{CredentialShape, Credentials, value_of};
pub use settings::{Settings, check_name};

/// Why a server cannot be kept. Values of credentials are never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The name is none.
    #[error(
        "name must have 1 to 63 lower-case letters, digits and hyphens, and neither begin nor end with a hyphen"
    )]
    Name,
    /// The URL is none that can be called.
    #[error("url {0}")]
    Url(&'static str),
    /// The prefix cannot stand before the names of tools.
    #[error(
        "tools.prefix must have 1 to 40 letters, digits and hyphens, and neither begin nor end with a hyphen"
    )]
    Prefix,
    /// A list of globs is too long, or one of them is.
    #[error("tools.{0} may have 128 globs of 1 to 128 bytes each")]
    Globs(&'static str),
    /// A header field carries no credential.
    #[error("auth.headers: {0:?} is not the name of a header field that carries a credential")]
    Header(String),
    /// There are too many header fields, or none.
    #[error("auth.headers must have 1 to 8 header fields, each once")]
    Headers,
    /// A secret cannot be sent.
    #[error("the secret of {0} must have 1 to 8192 visible ASCII characters, blanks only inside")]
    Secret(String),
}

#[cfg(test)]
#[path = "user_servers_tests.rs"]
mod tests;
