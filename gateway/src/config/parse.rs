//! From text to types, with errors that name the field and its variable.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{ConfigError, environment};
use crate::encryption::EncryptionKeys;

fn invalid(field: &'static str, problem: impl Into<String>) -> ConfigError {
    let variable = environment::variable(field);
    ConfigError::Invalid {
        field,
        variable,
        problem: problem.into(),
    }
}

pub(super) fn address(field: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        invalid(
            field,
            format!("expected an IP address and a port such as 0.0.0.0:8080, found {text:?}"),
        )
    })
}

/// An absolute `http` or `https` URL whose path ends without a slash.
pub(super) fn base_url(field: &'static str, text: &str) -> Result<Option<Url>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "expected an absolute http or https URL without query, fragment and user";
    let url: Url = text
        .parse()
        .map_err(|error| invalid(field, format!("{expected}: {error}")))?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        return Err(invalid(field, expected));
    }
    Ok(Some(url))
}

/// Origins of web pages (RFC 6454, section 6.2), as browsers write them.
pub(super) fn origins(field: &'static str, text: &str) -> Result<Vec<String>, ConfigError> {
    let origin = |entry: &str| {
        let url = Url::parse(entry).ok().filter(|url| {
            let web = matches!(url.scheme(), "http" | "https");
            web && url.origin().ascii_serialization() == entry
        });
        url.map(|_| entry.to_owned()).ok_or_else(|| {
            invalid(
                field,
                format!(
                    "expected origins such as https://inspector.example.com, without a slash at the end, separated by commas, found {entry:?}"
                ),
            )
        })
    };
    list(text).map(origin).collect()
}

/// A secret that starts in one of the given ways; absent if empty.
pub(super) fn secret(
    field: &'static str,
    text: &SecretString,
    starts: &[&str],
) -> Result<Option<SecretString>, ConfigError> {
    let value = text.expose_secret();
    if value.is_empty() {
        return Ok(None);
    }
    if starts.iter().any(|start| value.starts_with(start)) {
        return Ok(Some(text.clone()));
    }
    Err(invalid(
        field,
        format!("expected a value that starts with {}", starts.join(" or ")),
    ))
}

/// The key ring, from the value itself or from a file that holds it.
pub(super) fn encryption_keys(
    text: &SecretString,
    file: &str,
) -> Result<Option<EncryptionKeys>, ConfigError> {
    const FIELD: &str = "encryption_keys";
    const FILE: &str = "encryption_keys_file";
    let of_value = |field, text: &SecretString| {
        EncryptionKeys::parse(text).map_err(|error| invalid(field, error.to_string()))
    };
    let Some(path) = self::file(FILE, file)? else {
        return of_value(FIELD, text);
    };
    if !text.expose_secret().is_empty() {
        let problem = format!("is set besides {}: set one", environment::variable(FIELD));
        return Err(invalid(FILE, problem));
    }
    let unreadable = |error| invalid(FILE, format!("{file:?} cannot be read: {error}"));
    let text = std::fs::read_to_string(path).map_err(unreadable)?.into();
    match of_value(FILE, &text)? {
        Some(keys) => Ok(Some(keys)),
        None => Err(invalid(FILE, format!("{file:?} holds no key"))),
    }
}

/// A name as Kubernetes gives to namespaces (RFC 1123 label).
pub(super) fn dns_label(field: &'static str, text: &str) -> Result<String, ConfigError> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = !text.starts_with('-') && !text.ends_with('-');
    if (1..=63).contains(&text.len()) && ends && text.chars().all(inner) {
        return Ok(text.to_owned());
    }
    Err(invalid(
        field,
        format!("expected the name of a namespace, found {text:?}"),
    ))
}

pub(super) fn networks(field: &'static str, text: &str) -> Result<Vec<IpNet>, ConfigError> {
    let network = |entry: &str| {
        entry.parse().map_err(|_| {
            invalid(
                field,
                format!(
                    "expected ranges such as 127.0.0.0/8, separated by commas, found {entry:?}"
                ),
            )
        })
    };
    list(text).map(network).collect()
}

/// A file that is there; absent if empty.
pub(super) fn file(field: &'static str, text: &str) -> Result<Option<PathBuf>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    match std::fs::metadata(text) {
        Ok(found) if found.is_file() => Ok(Some(text.into())),
        Ok(_) => Err(invalid(field, format!("{text:?} is not a file"))),
        Err(error) => Err(invalid(field, format!("{text:?} cannot be read: {error}"))),
    }
}

pub(super) fn number(
    field: &'static str,
    text: &str,
    range: RangeInclusive<usize>,
) -> Result<usize, ConfigError> {
    let (low, high) = (range.start(), range.end());
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        invalid(
            field,
            format!("expected a number from {low} to {high}, found {text:?}"),
        )
    })
}

pub(super) fn seconds(field: &'static str, text: &str) -> Result<Duration, ConfigError> {
    number(field, text, 1..=3600).map(|seconds| Duration::from_secs(seconds as u64))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}
