//! The keys of the embedded mode: made once for each user of this machine.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use agentapi_gateway::auth::DevelopmentIssuer;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::EncodingKey;
use secrecy::SecretString;

use crate::failure::Failure;

/// Name of the issuer's file: an Ed25519 private key as PKCS#8 (RFC 8410).
const FILE: &str = "development-issuer.pk8";
/// Name of the file of the key that signs the audit record.
const AUDIT_FILE: &str = "development-audit.pk8";
/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// The development issuer's key pair.
pub(crate) struct DevelopmentKey {
    public: [u8; 32],
    pub(crate) signing: EncodingKey,
}

impl DevelopmentKey {
    /// The key of this user, made now if there is none.
    pub(crate) fn of_this_user() -> Result<Self, Failure> {
        Self::in_folder(&state_folder()?)
    }

    fn in_folder(folder: &Path) -> Result<Self, Failure> {
        let (document, public) = kept(folder, FILE)?;
        Ok(Self {
            public,
            signing: EncodingKey::from_ed_der(&document),
        })
    }

    /// What the gateway verifies tokens with.
    pub(crate) fn issuer(&self) -> DevelopmentIssuer {
        DevelopmentIssuer::new(&self.public)
    }
}

/// The key that signs this user's audit records, in PEM, made now if there is none.
pub(crate) fn audit_signing_key() -> Result<SecretString, Failure> {
    let (document, _) = kept(&state_folder()?, AUDIT_FILE)?;
    let body = STANDARD.encode(document);
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n").into())
}

/// The key of a file as PKCS#8, and its public half.
fn kept(folder: &Path, file: &str) -> Result<(Vec<u8>, [u8; 32]), Failure> {
    let path = folder.join(file);
    if !path.exists() {
        create(folder, &path)?;
    }
    let again = format!("rm {}, and the command again", path.display());
    let failed = |what: &str| Failure::new(format!("{} {what}", path.display()), again.clone());
    let unreadable = |error| failed("cannot be read").because(error);
    if std::fs::metadata(&path).map_err(unreadable)?.mode() & OTHERS != 0 {
        return Err(failed(
            "may be read by other users, so it is no secret any more",
        ));
    }
    let document = std::fs::read(&path).map_err(unreadable)?;
    let no_key = || failed("is not an Ed25519 key");
    let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| no_key())?;
    let public = pair
        .public_key()
        .as_ref()
        .try_into()
        .map_err(|_| no_key())?;
    Ok((document, public))
}

/// Makes the key so that no other process ever sees a part of it. If another
/// one was faster, its key stays.
fn create(folder: &Path, path: &Path) -> Result<(), Failure> {
    let next = "XDG_STATE_HOME=$(mktemp -d), and the command again";
    let failed = || Failure::new(format!("{} cannot be written", path.display()), next);
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|error| failed().because(error))?;
    let pair = Ed25519KeyPair::generate().map_err(|error| failed().because(error))?;
    let document = pair.to_pkcs8v1().map_err(|error| failed().because(error))?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder).map_err(|error| failed().because(error))?;
    file.write_all(document.as_ref())
        .map_err(|error| failed().because(error))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed().because(error.error)),
    }
}

/// Where programs keep a user's state (XDG Base Directory Specification 0.8).
fn state_folder() -> Result<PathBuf, Failure> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    let base = absolute("XDG_STATE_HOME").or_else(home).ok_or_else(|| {
        Failure::new(
            "neither XDG_STATE_HOME nor HOME is set",
            "XDG_STATE_HOME=/tmp/state, and the command again",
        )
    })?;
    Ok(base.join("agentapi"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = DevelopmentKey::in_folder(folder.path()).unwrap();
        let second = DevelopmentKey::in_folder(folder.path()).unwrap();
        assert_eq!(first.public, second.public);
    }

    #[test]
    fn nobody_else_can_read_the_key() {
        let folder = tempfile::tempdir().unwrap();
        DevelopmentKey::in_folder(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().mode();
        assert_eq!(mode & OTHERS, 0, "{mode:o}");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        DevelopmentKey::in_folder(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refusal = DevelopmentKey::in_folder(folder.path())
            .err()
            .unwrap()
            .to_string();
        assert!(refusal.contains("may be read by other users"), "{refusal}");
    }
}
