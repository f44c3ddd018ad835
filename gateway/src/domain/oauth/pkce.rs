//! Proof Key for Code Exchange (RFC 7636), by S256 only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A code verifier (RFC 7636, section 4.1).
#[derive(Clone, Debug)]
pub struct Verifier(SecretString);

impl Verifier {
    /// The verifier of 32 random bytes: 43 characters, as the RFC recommends.
    pub fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    /// The text that proves.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// The challenge that it answers (section 4.2, `S256`).
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.expose_secret()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_gives_its_challenge() {
        // RFC 7636, appendix B.
        let bytes = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212,
            37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        let verifier = Verifier::of_bytes(bytes);
        assert_eq!(
            verifier.secret().expose_secret(),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
        assert_eq!(
            verifier.challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
