//! Addresses of proxies.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// One address, or all that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    bits: u128,
    mask: u128,
}

/// IPv4 addresses have a place among those of IPv6.
fn bits(address: IpAddr) -> u128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    u128::from(address)
}

impl Network {
    pub(super) fn contains(self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.bits
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| ())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let free = width
            - length
                .filter(|length| *length <= width)
                .or(length.is_none().then_some(width))
                .ok_or(())?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Ok(Self { bits: bits(address) & mask, mask })
    }
}

/// What counts as one client: whoever has an IPv6 address has 2⁶⁴ of them.
pub(super) fn one_client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_begins_alike() {
        let holds = |network: &str, address: &str| {
            let network: Network = network.parse().expect("a network");
            network.contains(address.parse().expect("an address"))
        };
        assert!(holds("10.0.0.7", "10.0.0.7") && !holds("10.0.0.7", "10.0.0.8"));
        assert!(holds("10.0.0.0/8", "10.9.8.7") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("10.9.8.7/8", "10.1.1.1"), "bits beyond the length do not count");
        assert!(holds("127.0.0.1", "::ffff:127.0.0.1"), "the same address on a socket of both");
        assert!(holds("::/0", "10.0.0.1") && holds("fd00::/8", "fd12::1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "fd00::1"));
        for wrong in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "x/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_is_its_address_or_its_network() {
        let one = |text: &str| one_client(text.parse().expect("an address")).to_string();
        assert_eq!(one("10.0.0.7"), "10.0.0.7");
        assert_eq!(one("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(one("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
