//! The keys of the embedded mode: made once for each user of this machine.

use std::error::Error;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use agentapi_gateway::auth::DevelopmentIssuer;
use agentapi_gateway::encryption::KeyList;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::EncodingKey;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;

/// Name of the issuer's file: an Ed25519 private key as PKCS#8 (RFC 8410).
const FILE: &str = "development-issuer.pk8";
/// Name of the file of the key that signs the audit record.
const AUDIT_FILE: &str = "development-audit.pk8";
/// Name of the file of the key that encrypts stored credentials, as it is configured.
const ENCRYPTION_FILE: &str = "development-encryption.key";
/// Id of that key.
const ENCRYPTION_ID: &str = "development";
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

/// The key that encrypts what this user's gateways store, as it is configured; made now if there is none.
pub(crate) fn encryption_keys() -> Result<SecretString, Failure> {
    encryption_keys_in(&state_folder()?)
}

fn encryption_keys_in(folder: &Path) -> Result<SecretString, Failure> {
    let path = folder.join(ENCRYPTION_FILE);
    let text = secret_file(folder, &path, || {
        let mut keys = KeyList::parse(&SecretString::default())?;
        keys.add(ENCRYPTION_ID)?;
        Ok(keys.text().expose_secret().as_bytes().to_vec())
    })?;
    let no_key = |error| failed(&path, "is not an encryption key").because(error);
    let text = SecretString::from(String::from_utf8(text).map_err(|error| no_key(error.into()))?);
    KeyList::parse(&text).map_err(|error| no_key(Box::<dyn Error + Send + Sync>::from(error)))?;
    Ok(text)
}

/// The Ed25519 key of a file as PKCS#8, and its public half.
fn kept(folder: &Path, file: &str) -> Result<(Vec<u8>, [u8; 32]), Failure> {
    let path = folder.join(file);
    let document = secret_file(folder, &path, || {
        let document = Ed25519KeyPair::generate()?.to_pkcs8v1()?;
        Ok(document.as_ref().to_vec())
    })?;
    let no_key = || failed(&path, "is not an Ed25519 key");
    let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| no_key())?;
    let public = pair
        .public_key()
        .as_ref()
        .try_into()
        .map_err(|_| no_key())?;
    Ok((document, public))
}

/// What a file holds that nobody else may read, made now if it is not there.
fn secret_file(
    folder: &Path,
    path: &Path,
    make: impl FnOnce() -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>,
) -> Result<Vec<u8>, Failure> {
    if !path.exists() {
        create(folder, path, make)?;
    }
    let unreadable = |error| failed(path, "cannot be read").because(error);
    if std::fs::metadata(path).map_err(unreadable)?.mode() & OTHERS != 0 {
        return Err(failed(
            path,
            "may be read by other users, so it is no secret any more",
        ));
    }
    std::fs::read(path).map_err(unreadable)
}

fn failed(path: &Path, what: &str) -> Failure {
    let again = format!("rm {}, and the command again", path.display());
    Failure::new(format!("{} {what}", path.display()), again)
}

/// Makes the file so that no other process ever sees a part of it. If another
/// one was faster, its key stays.
fn create(
    folder: &Path,
    path: &Path,
    make: impl FnOnce() -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>,
) -> Result<(), Failure> {
    let next = "XDG_STATE_HOME=$(mktemp -d), and the command again";
    let failed = || Failure::new(format!("{} cannot be written", path.display()), next);
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|error| failed().because(error))?;
    let content = make().map_err(|error| failed().because(error))?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder).map_err(|error| failed().because(error))?;
    file.write_all(&content)
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
    fn the_encryption_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let made = [(); 2].map(|()| encryption_keys_in(folder.path()).unwrap());
        assert_eq!(made[0].expose_secret(), made[1].expose_secret());
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
