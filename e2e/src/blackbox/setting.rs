//! The manifests that the suite expects to be in force.

/// The organization that most requests are made in.
pub const FIRST: &str = "blackbox-first";
/// The organization whose users must see nothing of the first.
pub const SECOND: &str = "blackbox-second";

const MANIFESTS: &str = include_str!("../../blackbox/manifests.yaml");

/// The manifests, with the addresses and the key set of this run.
pub fn manifests(issuer: &crate::issuer::Issuer, clock: &str) -> String {
    MANIFESTS
        .replace("${ISSUER}", &issuer.url)
        .replace("${KEY_SET}", &issuer.key_set())
        .replace("${CLOCK}", clock)
}
