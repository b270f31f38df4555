//! Addresses and ranges in the strict syntax: no zeros in front, no IPv4 in the clothes of IPv6, no bits that mean
//! nothing. What fields took before is told from what is no address at all, since the messages differ.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::{self, Problems};

const ZEROS: &str = "must not have leading 0s";
const ZEROS_IN_RANGE: &str = "must not have leading 0s in IP or prefix length";
const MAPPED: &str = "must not be an IPv4-mapped IPv6 address";
const MAPPED_RANGE: &str = "must not have an IPv4-mapped IPv6 address";
const STRAY_BITS: &str = "must not have bits set beyond the prefix length";

/// An address as it was always read, and whether it has zeros in front of a number.
fn loose_ip(text: &str) -> Option<(IpAddr, bool)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address, false));
    }
    let (before, quad) = match text.rfind(':') {
        Some(colon) => text.split_at(colon + 1),
        None => ("", text),
    };
    let plain = |number: &str| {
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| {
            if number.bytes().all(|b| b == b'0') { "0" } else { number.trim_start_matches('0') }.to_owned()
        })
    };
    let numbers: Option<Vec<String>> = quad.split('.').map(plain).collect();
    let numbers = numbers.filter(|numbers| numbers.len() == 4)?;
    let address = format!("{before}{}", numbers.join(".")).parse().ok()?;
    Some((address, true))
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    address: IpAddr,
    bits: u8,
}

impl Range {
    /// The range, also where the text is not in the strict syntax.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(loose_range(text)?.0)
    }

    /// Whether the addresses are of IPv6.
    pub(crate) fn is_ipv6(self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether `other` is a part of it, and smaller.
    pub(crate) fn is_wider_than(self, other: Self) -> bool {
        // The family first: a prefix of one may be longer than any address of the other.
        self.is_ipv6() == other.is_ipv6()
            && self.bits < other.bits
            && Self { bits: self.bits, ..other }.first() == self.first()
    }

    /// The first address.
    fn first(self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                Ipv4Addr::from(u32::from(v4) & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                Ipv6Addr::from(u128::from(v6) & mask).into()
            }
        }
    }

    fn canonical(self) -> String {
        format!("{}/{}", self.first(), self.bits)
    }
}

fn loose_range(text: &str) -> Option<(Range, bool)> {
    let (address, bits) = text.split_once('/')?;
    let (address, zeros) = loose_ip(address)?;
    if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let max = if address.is_ipv6() { 128 } else { 32 };
    let number: u8 = bits.parse().ok().filter(|number| *number <= max)?;
    let zeros = zeros || bits.len() > 1 && bits.starts_with('0');
    Some((Range { address, bits: number }, zeros))
}

/// An address in the strict syntax, in any of its forms.
pub(crate) fn strict_ip(text: &str) -> Problems {
    match loose_ip(text) {
        None => names::ip(text),
        Some((_, true)) => vec![ZEROS.to_owned()],
        Some((address, _)) if is_mapped(address) => vec![MAPPED.to_owned()],
        Some(_) => Problems::new(),
    }
}

/// An address in the one form that it is written in.
pub(crate) fn canonical_ip(text: &str) -> Problems {
    let problems = strict_ip(text);
    match loose_ip(text) {
        Some((address, _)) if problems.is_empty() && address.to_string() != text => {
            vec![format!("must be in canonical form ({:?})", address.to_string())]
        }
        _ => problems,
    }
}

/// A range of addresses in the strict syntax, in any of its forms.
pub(crate) fn strict_cidr(text: &str) -> Problems {
    match loose_range(text) {
        None => names::cidr(text),
        Some((_, true)) => vec![ZEROS_IN_RANGE.to_owned()],
        Some((range, _)) if is_mapped(range.address) => vec![MAPPED_RANGE.to_owned()],
        Some((range, _)) if range.first() != range.address => vec![STRAY_BITS.to_owned()],
        Some(_) => Problems::new(),
    }
}

/// A range of addresses in the one form that it is written in.
pub(crate) fn canonical_cidr(text: &str) -> Problems {
    let problems = strict_cidr(text);
    match Range::parse(text) {
        Some(range) if problems.is_empty() && range.canonical() != text => {
            vec![format!("must be in canonical form ({:?})", range.canonical())]
        }
        _ => problems,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_meaning() {
        for good in ["10.1.2.3", "2001:db8::1", "2001:DB8::1"] {
            assert_eq!(strict_ip(good), Problems::new(), "{good}");
        }
        assert_eq!(strict_ip("010.1.2.3"), [ZEROS]);
        assert_eq!(strict_ip("::ffff:1.2.3.04"), [ZEROS]);
        assert_eq!(strict_ip("::ffff:1.2.3.4"), [MAPPED]);
        for none in ["", "300.1.2.3", "1.2.3", "fe80::1%eth0", "a.b.c.d", "1.2.3.4/8"] {
            assert_eq!(strict_ip(none), names::ip(none), "{none}");
            assert!(!names::ip(none).is_empty(), "{none}");
        }
        assert_eq!(canonical_ip("2001:db8::1"), Problems::new());
        assert_eq!(canonical_ip("2001:DB8:0::1"), ["must be in canonical form (\"2001:db8::1\")"]);
        assert_eq!(canonical_ip("010.1.2.3"), [ZEROS]);
    }

    #[test]
    fn ranges_have_one_meaning() {
        for good in ["10.0.0.0/8", "2001:db8::/64", "0.0.0.0/0", "::/0", "1.2.3.4/32"] {
            assert_eq!(canonical_cidr(good), Problems::new(), "{good}");
        }
        assert_eq!(strict_cidr("10.0.0.1/8"), [STRAY_BITS]);
        assert_eq!(strict_cidr("10.0.0.0/08"), [ZEROS_IN_RANGE]);
        assert_eq!(strict_cidr("010.0.0.0/8"), [ZEROS_IN_RANGE]);
        assert_eq!(strict_cidr("::ffff:10.0.0.0/104"), [MAPPED_RANGE]);
        for none in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "x/8", "10.0.0.0/+8"] {
            assert_eq!(strict_cidr(none).len(), 1, "{none}");
            assert!(strict_cidr(none)[0].starts_with("must be a valid CIDR value"), "{none}");
        }
        assert_eq!(canonical_cidr("2001:DB8::/64"), ["must be in canonical form (\"2001:db8::/64\")"]);
    }

    #[test]
    fn a_range_covers_smaller_ones() {
        let range = |text| Range::parse(text).unwrap();
        assert!(range("10.0.0.0/8").is_wider_than(range("10.1.0.0/16")));
        assert!(!range("fd00::/64").is_wider_than(range("10.0.0.0/8")));
        assert!(range("0.0.0.0/0").is_wider_than(range("10.1.0.0/16")));
        for other in ["10.0.0.0/8", "11.0.0.0/16", "::/16", "0.0.0.0/0"] {
            assert!(!range("10.0.0.0/8").is_wider_than(range(other)), "{other}");
        }
    }
}
