//! Names from a file in the form of hosts(5), for a gateway that is outside of
//! the cluster's network: `<service>.<namespace>.svc` means nothing to its resolver.
//!
//! Addresses from it are judged by the dialer like all others.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;
use std::path::PathBuf;

use async_trait::async_trait;

use super::dialer::{Resolve, SystemResolver};

/// Looks names up in a file, and asks the operating system for those that are not
/// there. The file is read for each lookup, so that changing it is enough.
pub struct HostsFile {
    path: PathBuf,
}

impl HostsFile {
    /// A resolver that reads the file at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

#[async_trait]
impl Resolve for HostsFile {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let text = tokio::fs::read_to_string(&self.path).await;
        let text = text.map_err(|error| {
            let path = self.path.display();
            Error::new(error.kind(), format!("hosts_file {path}: {error}"))
        })?;
        match addresses(&text, host)? {
            found if found.is_empty() => SystemResolver.resolve(host).await,
            found => Ok(found),
        }
    }
}

/// The addresses that the lines with `host` among their names begin with. A line
/// for it without an address is an error: the system must not be asked instead.
fn addresses(text: &str, host: &str) -> Result<Vec<IpAddr>, Error> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""));
    let named = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?;
        words
            .any(|name| name.eq_ignore_ascii_case(host))
            .then_some(address)
    });
    let parsed = named.map(|address| {
        address.parse().map_err(|_| {
            let problem = format!("hosts_file: {address:?}, for {host}, is not an IP address");
            Error::new(ErrorKind::InvalidData, problem)
        })
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# the cluster's\n\
        10.0.0.1 notes.org-acme.svc notes # a comment\n\
        10.0.0.2\tbox.org-acme.svc\n\
        10.0.0.3 NOTES.org-acme.svc\n\
        nowhere broken.org-acme.svc\n\n";

    #[test]
    fn a_name_has_the_addresses_of_all_its_lines() {
        let found = addresses(FILE, "notes.org-acme.svc").unwrap();
        let expected: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 3].into()];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_comment_and_an_address_are_no_names() {
        for host in ["a", "comment", "10.0.0.1", "cluster's"] {
            assert_eq!(addresses(FILE, host).unwrap(), [] as [IpAddr; 0], "{host}");
        }
    }

    #[test]
    fn a_line_without_an_address_is_told() {
        let refused = addresses(FILE, "broken.org-acme.svc").expect_err("no address");
        assert!(refused.to_string().contains("nowhere"), "{refused}");
    }

    #[tokio::test]
    async fn the_system_is_asked_for_other_names() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let hosts = HostsFile::new(file.path().to_owned());
        let found = hosts.resolve("localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
    }

    #[tokio::test]
    async fn a_file_that_is_away_is_told_by_its_name() {
        let hosts = HostsFile::new("/does/not/exist".into());
        let error = hosts.resolve("localhost").await;
        let error = error.expect_err("the file is away").to_string();
        assert!(error.contains("/does/not/exist"), "{error}");
    }
}
