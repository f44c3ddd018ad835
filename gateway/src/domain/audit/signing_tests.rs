//! Keys and signatures.

use super::*;

/// A new private key in PEM.
pub(crate) fn new_pem() -> String {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let der = pair.to_pkcs8v1().expect("PKCS#8");
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der.as_ref()))
}

/// A signer with a new key.
pub(crate) fn signer() -> Signer {
    Signer::from_pem(&new_pem().into()).expect("a signer")
}

#[test]
fn a_signature_is_verified_by_the_published_key_set() {
    let signer = signer();
    let published = signer.keys().key_set().to_string();
    let keys = VerifyingKeys::from_key_set(&published).expect("a key set");
    assert!(keys.verify(b"text", &signer.sign(b"text")));
}

#[test]
fn another_text_or_another_key_is_not_verified() {
    let (signer, other) = (signer(), signer());
    let signature = signer.sign(b"text");
    assert!(!signer.keys().verify(b"another text", &signature));
    assert!(!other.keys().verify(b"text", &signature));
}

#[test]
fn the_name_of_a_foreign_key_does_not_make_a_signature_ours() {
    let (signer, other) = (signer(), signer());
    let forged = Signature {
        key: signer.key_id().to_owned(),
        ..other.sign(b"text")
    };
    assert!(!signer.keys().verify(b"text", &forged));
}

#[test]
fn a_rotated_key_still_verifies_what_it_signed() {
    let (old, new) = (new_pem(), new_pem());
    let signature = Signer::from_pem(&old.clone().into())
        .expect("a signer")
        .sign(b"text");
    let rotated = Signer::from_pem(&format!("{new}{old}").into()).expect("a signer");
    assert_ne!(rotated.key_id(), signature.key, "the first key signs");
    assert!(rotated.keys().verify(b"text", &signature));
}

#[test]
fn a_thumbprint_is_that_of_the_standards_example() {
    // RFC 8037, appendix A.3.
    let public = URL_SAFE_NO_PAD
        .decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
        .expect("base64url");
    assert_eq!(
        thumbprint(&public),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn what_is_no_key_is_refused_by_its_position_and_not_repeated() {
    let bad = format!("{}{BEGIN}\nhunter2\n{END}\n", new_pem());
    let refused = Signer::from_pem(&bad.into()).expect_err("no key");
    assert!(
        matches!(refused, KeyError::PrivateKey { position: 2 }),
        "{refused:?}"
    );
    assert!(!format!("{refused} {refused:?}").contains("hunter2"));
}

#[test]
fn no_key_at_all_is_refused() {
    let refused = Signer::from_pem(&"nothing".to_owned().into());
    assert!(
        matches!(refused, Err(KeyError::NoPrivateKey)),
        "{refused:?}"
    );
}
