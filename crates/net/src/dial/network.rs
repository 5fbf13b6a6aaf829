//! [`IpNetwork`]: a range of addresses, as operators name it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::{is_link_local, is_public};

/// A range of addresses: `10.1.0.0/16`, `fd00::/8`, or one address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IpNetwork {
    first: IpAddr,
    prefix: u8,
}

impl fmt::Debug for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IpNetwork(<redacted>)")
    }
}

/// The text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotANetwork;

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no network: write it like 192.168.1.0/24, fd00::/8, or as one address")
    }
}

impl std::error::Error for NotANetwork {}

impl FromStr for IpNetwork {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) if prefix.bytes().all(|b| b.is_ascii_digit()) => {
                (address, Some(prefix.parse().map_err(|_| NotANetwork)?))
            }
            Some(_) => return Err(NotANetwork),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let address = address.to_canonical();
        let prefix = prefix.unwrap_or(bits_of(address));
        if prefix > bits_of(address) {
            return Err(NotANetwork);
        }
        Ok(Self::of(address, prefix))
    }
}

impl IpNetwork {
    /// The range that an address is in, by the number of leading bits that all in it have in common.
    #[must_use]
    pub fn of(address: IpAddr, prefix: u8) -> Self {
        let address = address.to_canonical();
        let prefix = prefix.min(bits_of(address));
        let first = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::from((v4.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::from((v6.to_bits() & mask).to_be_bytes())
            }
        };
        Self { first, prefix }
    }

    /// Writes the form that is read.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}/{}", self.first, self.prefix)
    }

    /// Says whether an address is in it; an IPv4 address counts in either form.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && Self::of(address, self.prefix) == *self
    }

    /// The private network around an address of this machine: its /24, or its /64. Nothing for an address that is public,
    /// of this machine alone, or of one link.
    #[must_use]
    pub fn private_around(own: IpAddr) -> Option<Self> {
        let own = own.to_canonical();
        let is_private = !is_public(own) && !own.is_loopback() && !own.is_unspecified() && !is_link_local(own);
        is_private.then(|| Self::of(own, if own.is_ipv4() { 24 } else { 64 }))
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        text.parse().expect("a network")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (range, inside, outside) in [
            ("192.168.1.0/24", "192.168.1.255", "192.168.2.0"),
            ("192.168.1.77/24", "::ffff:192.168.1.1", "::1"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("127.0.0.0/8", "127.255.0.1", "128.0.0.1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            assert!(network(range).contains(address(inside)), "{range} {inside}");
            assert!(!network(range).contains(address(outside)), "{range} {outside}");
        }
        assert!(
            network("0.0.0.0/0").contains(address("203.0.114.1")) && !network("0.0.0.0/0").contains(address("::2"))
        );
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/", "::/129", "example.org", "10.0.0/8"] {
            assert_eq!(bad.parse::<IpNetwork>(), Err(NotANetwork), "{bad:?}");
        }
    }

    #[test]
    fn only_a_private_address_has_a_private_network() {
        let around = |text| IpNetwork::private_around(address(text));
        assert_eq!(around("192.168.7.9"), Some(network("192.168.7.0/24")));
        assert_eq!(around("fd00:1:2:3:4::5"), Some(network("fd00:1:2:3::/64")));
        for none in ["127.0.0.1", "::1", "203.0.114.1", "2a00::1", "169.254.1.1", "fe80::1", "0.0.0.0", "::"] {
            assert_eq!(around(none), None, "{none}");
        }
    }
}
