//! The program copies itself into a server's pod, whose image knows nothing of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::BridgeError;

/// Copies the running program to `to`, executable by everybody. The file
/// appears whole or not at all.
///
/// # Errors
/// [`BridgeError::Install`].
pub fn install(to: &Path) -> Result<(), BridgeError> {
    copy(to).map_err(|source| BridgeError::Install {
        to: to.to_owned(),
        source,
    })
}

fn copy(to: &Path) -> std::io::Result<()> {
    let partial = to.with_extension("partial");
    fs::copy(std::env::current_exe()?, &partial)?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o755))?;
    fs::rename(partial, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_the_program_and_can_be_run() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("agentapi-gateway");
        install(&to).unwrap();
        let length = |path: &Path| fs::metadata(path).unwrap().len();
        assert_eq!(length(&to), length(&std::env::current_exe().unwrap()));
        assert_eq!(
            fs::metadata(&to).unwrap().permissions().mode() & 0o777,
            0o755
        );
    }
}
