//! What a browser brings back from an authorization server (RFC 6749, section 4.1.2; RFC 9207).

use secrecy::SecretString;

use super::metadata::Metadata;

/// Longest error that is shown, in characters.
const MOST_SHOWN: usize = 200;

/// The parameters of a redirect, each at most once.
#[derive(Debug, Default)]
pub struct Redirected {
    state: Option<String>,
    code: Option<SecretString>,
    error: Option<String>,
    issuer: Option<String>,
}

/// Why a redirect is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// A parameter that comes twice has two meanings.
    #[error("the parameter {0} comes more than once")]
    Repeated(&'static str),
    /// It carries no state.
    #[error("there is no state")]
    NoState,
    /// Another server answers than was asked (RFC 9207, section 2.4).
    #[error("another authorization server answers than was asked")]
    AnotherIssuer,
    /// The server always names itself, and does not here.
    #[error("the authorization server does not name itself")]
    NoIssuer,
    /// The authorization server or its user refused.
    #[error("the authorization server answered {0}")]
    Refused(String),
    /// There is neither a code nor an error.
    #[error("there is no code")]
    NoCode,
}

impl Redirected {
    /// Reads the query of a redirect.
    ///
    /// # Errors
    /// [`RedirectError::Repeated`].
    pub fn read(query: &str) -> Result<Self, RedirectError> {
        let mut read = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            let (name, before) = match &*name {
                "state" => ("state", read.state.replace(value).is_some()),
                "code" => ("code", read.code.replace(value.into()).is_some()),
                "error" => ("error", read.error.replace(value).is_some()),
                "iss" => ("iss", read.issuer.replace(value).is_some()),
                _ => continue,
            };
            if before {
                return Err(RedirectError::Repeated(name));
            }
        }
        Ok(read)
    }

    /// What the gateway gave the browser.
    ///
    /// # Errors
    /// [`RedirectError::NoState`].
    pub fn state(&self) -> Result<&str, RedirectError> {
        self.state.as_deref().ok_or(RedirectError::NoState)
    }

    /// The code, if the server that was asked gives one.
    ///
    /// # Errors
    /// See [`RedirectError`].
    pub fn code_of(&self, server: &Metadata) -> Result<&SecretString, RedirectError> {
        match &self.issuer {
            Some(issuer) if !server.issuer_rule.allows(issuer) => {
                return Err(RedirectError::AnotherIssuer);
            }
            None if server.always_names_issuer => return Err(RedirectError::NoIssuer),
            _ => {}
        }
        match (&self.code, &self.error) {
            (_, Some(error)) => Err(RedirectError::Refused(shown(error))),
            (Some(code), None) => Ok(code),
            (None, None) => Err(RedirectError::NoCode),
        }
    }
}

/// Words of somebody else, short and without what changes how they are shown.
pub(super) fn shown(text: &str) -> String {
    let plain = |character: &char| character.is_ascii_graphic() || *character == ' ';
    text.chars().filter(plain).take(MOST_SHOWN).collect()
}
