//! Where a request comes from, as far as it can be believed.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: the peer of the connection, or, where that is a
/// trusted proxy, what it says. Proxies append on the right, so the first address
/// from the right that is no trusted proxy is the last one that can be believed.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| {
        let address = address.to_canonical();
        trusted.iter().any(|range| range.contains(&address))
    };
    let mut believed = peer;
    let values = headers.get_all(X_FORWARDED_FOR).iter();
    let lines: Vec<&str> = values
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    let mut entries = lines.iter().flat_map(|line| line.split(',')).rev();
    while is_trusted(&believed) {
        match entries.next().map(|entry| entry.trim().parse()) {
            Some(Ok(address)) => believed = address,
            Some(Err(_)) | None => break,
        }
    }
    believed.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(X_FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|range| range.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(found("192.0.2.1", &["203.0.113.9"], &[]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_its_client() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(found("10.0.0.1", &["203.0.113.9"], &trusted), "203.0.113.9");
        assert_eq!(
            found("10.0.0.1", &["203.0.113.9, 10.0.0.2"], &trusted),
            "203.0.113.9"
        );
        assert_eq!(
            found("10.0.0.1", &["203.0.113.9", "10.0.0.2"], &trusted),
            "203.0.113.9"
        );
    }

    #[test]
    fn what_a_client_claims_beyond_the_proxy_is_not_believed() {
        let claimed = ["198.51.100.7, 203.0.113.9"];
        assert_eq!(found("10.0.0.1", &claimed, &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn an_entry_that_is_no_address_ends_the_walk() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(found("10.0.0.1", &["unknown"], &trusted), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &[], &trusted), "10.0.0.1");
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_listener_is_recognised() {
        assert_eq!(
            found("::ffff:10.0.0.1", &["203.0.113.9"], &["10.0.0.0/8"]),
            "203.0.113.9"
        );
    }
}
