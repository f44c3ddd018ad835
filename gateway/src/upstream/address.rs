//! Addresses that are never dialled for a tenant, whatever it declares.
//!
//! An address is judged by where a packet to it would end up: IPv4 addresses
//! written as IPv6 (mapped, compatible, NAT64, 6to4) are judged as IPv4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is never dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// `0.0.0.0/8` and `::` (RFC 1122, 3.2.1.3).
    Unspecified,
    /// This machine (RFC 1122; RFC 4291, 2.5.3).
    Loopback,
    /// This link (RFC 3927; RFC 4291, 2.5.6).
    LinkLocal,
    /// A cloud's instance metadata service.
    Metadata,
    /// Private networks (RFC 1918), among them pod, service and node ranges.
    Private,
    /// Carrier-grade NAT (RFC 6598).
    Shared,
    /// Unique local addresses (RFC 4193).
    UniqueLocal,
    /// Multicast and broadcast.
    Multicast,
    /// Reserved, for documentation, or for benchmarks.
    Reserved,
}

/// Metadata services outside of the link-local range.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// What is special about an address; `None` for one of the public internet.
pub(super) fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(embedded) => special_v4(embedded),
            None => special_v6(address),
        },
    }
}

/// The address a packet ends up at: IPv4 where IPv4 is only written as IPv6.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded_v4(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        _ if METADATA_V4.contains(&address) => Special::Metadata,
        (0, ..) => Special::Unspecified,
        (127, ..) => Special::Loopback,
        (169, 254, _) => Special::LinkLocal,
        (10, ..) | (192, 168, _) => Special::Private,
        (172, 16..=31, _) => Special::Private,
        (100, 64..=127, _) => Special::Shared,
        (192, 0, 0 | 2) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) => {
            Special::Reserved
        }
        (224..=239, ..) => Special::Multicast,
        (240..=255, ..) => Special::Reserved,
        _ => return None,
    };
    Some(special)
}

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    let segments = address.segments();
    let special = match segments {
        _ if address == METADATA_V6 => Special::Metadata,
        _ if address.is_unspecified() => Special::Unspecified,
        _ if address.is_loopback() => Special::Loopback,
        [0xfe80..=0xfebf, ..] => Special::LinkLocal,
        // Site-local, deprecated by RFC 3879, is still routed by some.
        [0xfec0..=0xfeff, ..] => Special::Private,
        [0xfc00..=0xfdff, ..] => Special::UniqueLocal,
        [0xff00..=0xffff, ..] => Special::Multicast,
        [0x2001, 0xdb8, ..] | [0x0100, 0, 0, 0, ..] | [0x3fff, 0..=0x0fff, ..] => Special::Reserved,
        // Local-use NAT64 (RFC 8215), Teredo (RFC 4380): where these end depends on the network.
        [0x0064, 0xff9b, 1, ..] | [0x2001, 0, ..] => Special::Reserved,
        _ => return None,
    };
    Some(special)
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // `::` and `::1` are IPv6's own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Mapped (RFC 4291, 2.5.5.2), compatible (2.5.5.1), translated (RFC 2765).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => Some(join(high, low)),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(join(high, low)),
        // NAT64 (RFC 6052).
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_recognised_in_every_form() {
        let cases = [
            ("127.0.0.1", Special::Loopback),
            ("127.255.255.254", Special::Loopback),
            ("::1", Special::Loopback),
            ("::ffff:127.0.0.1", Special::Loopback),
            ("::127.0.0.1", Special::Loopback),
            ("64:ff9b::127.0.0.1", Special::Loopback),
            ("2002:7f00:1::", Special::Loopback),
            ("0.0.0.0", Special::Unspecified),
            ("::", Special::Unspecified),
            ("169.254.169.254", Special::Metadata),
            ("::ffff:169.254.169.254", Special::Metadata),
            ("fd00:ec2::254", Special::Metadata),
            ("168.63.129.16", Special::Metadata),
            ("100.100.100.200", Special::Metadata),
            ("169.254.1.1", Special::LinkLocal),
            ("fe80::1", Special::LinkLocal),
            ("10.0.0.1", Special::Private),
            ("172.16.0.1", Special::Private),
            ("172.31.255.255", Special::Private),
            ("192.168.1.1", Special::Private),
            ("64:ff9b::10.0.0.1", Special::Private),
            ("100.64.0.1", Special::Shared),
            ("fd12:3456::1", Special::UniqueLocal),
            ("224.0.0.1", Special::Multicast),
            ("ff02::1", Special::Multicast),
            ("255.255.255.255", Special::Reserved),
            ("192.0.2.1", Special::Reserved),
            ("2001:db8::1", Special::Reserved),
        ];
        for (address, expected) in cases {
            assert_eq!(
                special(address.parse().unwrap()),
                Some(expected),
                "{address}"
            );
        }
    }

    #[test]
    fn public_addresses_are_not_special() {
        for address in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(special(address.parse().unwrap()), None, "{address}");
        }
    }
}
