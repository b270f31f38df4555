//! Cluster addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gantry_api::Resource as _;
use gantry_api::core::v1::{Service, ServiceSpec};
use gantry_api::field::{Error, Path};
use ipnet::IpNet;

use super::reserve::{Holder, Outcome, Reserved};
use crate::status::{ApiError, Reason};
use crate::verbs::Verbs;

/// Where the reservations are, below the prefix of all keys.
pub(super) const PREFIX: &str = "gantry/service-addresses/";
/// How many addresses are tried at random before the range counts as full.
const TRIES: u32 = 256;

/// The key of an address; none if the text is not one.
pub(super) fn key(text: &str) -> Option<String> {
    let address: IpAddr = text.parse().ok()?;
    Some(format!("{PREFIX}{address}"))
}

impl Verbs {
    /// Gives a Service the address that it asks for, or any.
    pub(super) async fn reserve_address(
        &self,
        spec: &mut ServiceSpec,
        holder: &Holder,
        reserved: &mut Reserved,
    ) -> Result<(), ApiError> {
        if spec.cluster_ip.is_empty()
            && let Some(first) = spec.cluster_ips.first()
        {
            spec.cluster_ip.clone_from(first);
        }
        let range = self.settings().service_cidr;
        let address = if spec.cluster_ip.is_empty() {
            self.any_address(range, holder, reserved).await?
        } else {
            self.that_address(range, &spec.cluster_ip, holder, reserved).await?
        };
        spec.cluster_ip = address.to_string();
        spec.cluster_ips = vec![address.to_string()];
        set_family(spec, Some(address));
        Ok(())
    }

    async fn that_address(
        &self,
        range: IpNet,
        text: &str,
        holder: &Holder,
        reserved: &mut Reserved,
    ) -> Result<IpAddr, ApiError> {
        let refused = |detail: String| {
            let path = Path::new("spec").child("clusterIPs").index(0);
            let detail = format!("failed to allocate IP {text}: {detail}");
            Err(ApiError::invalid(Service::kind(), holder.name(), &vec![Error::invalid(path, text, detail)]))
        };
        let Ok(address) = text.parse::<IpAddr>() else {
            return refused("it is not an IP address".to_owned());
        };
        let Some(key) = key(text) else { return refused("it is not an IP address".to_owned()) };
        if !usable(range, address) && !holder.holds(&key) {
            return refused(format!(
                "the provided IP is not in the valid range. The range of valid IPs is {range}"
            ));
        }
        match self.reserve_key(key, holder, reserved).await? {
            Outcome::Reserved => Ok(address),
            Outcome::Taken => refused("provided IP is already allocated".to_owned()),
        }
    }

    async fn any_address(
        &self,
        range: IpNet,
        holder: &Holder,
        reserved: &mut Reserved,
    ) -> Result<IpAddr, ApiError> {
        let size = size(range);
        // The low addresses are left to those who choose their own.
        let low = if size > 64 { (size / 16).min(256) } else { 1 };
        let random = (0..TRIES).map(|_| rand::random_range(low..size));
        // A small range is searched through in the end.
        let rest = (1..size).take(TRIES as usize);
        for offset in random.chain(rest) {
            let address = nth(range, offset);
            let Some(key) = key(&address.to_string()).filter(|_| usable(range, address)) else { continue };
            if let Outcome::Reserved = self.reserve_key(key, holder, reserved).await? {
                return Ok(address);
            }
        }
        Err(ApiError::new(
            Reason::InternalError,
            format!("failed to allocate a serviceIP: range is full: {range}"),
        ))
    }
}

/// Writes the address family that follows from the address.
pub(super) fn set_family(spec: &mut ServiceSpec, address: Option<IpAddr>) {
    let family = if address.is_some_and(|address| address.is_ipv6()) { "IPv6" } else { "IPv4" };
    if spec.ip_families.is_empty() || address.is_some() {
        spec.ip_families = vec![family.to_owned()];
    }
    spec.ip_family_policy.get_or_insert_with(|| "SingleStack".to_owned());
}

/// The offsets of a range; of a very large one the first so many.
fn size(range: IpNet) -> u32 {
    let bits = u32::from(range.max_prefix_len() - range.prefix_len());
    1u32.checked_shl(bits.min(30)).unwrap_or(1 << 30).max(2)
}

fn nth(range: IpNet, offset: u32) -> IpAddr {
    match range.network() {
        IpAddr::V4(first) => Ipv4Addr::from(u32::from(first).wrapping_add(offset)).into(),
        IpAddr::V6(first) => Ipv6Addr::from(u128::from(first).wrapping_add(u128::from(offset))).into(),
    }
}

/// In the range, and neither its first nor its last address.
fn usable(range: IpNet, address: IpAddr) -> bool {
    range.contains(&address) && address != range.network() && address != range.broadcast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_inside_the_range() {
        let range: IpNet = "10.96.0.0/12".parse().unwrap();
        assert_eq!(size(range), 1 << 20);
        assert_eq!(nth(range, 1).to_string(), "10.96.0.1");
        assert!(usable(range, nth(range, size(range) - 2)));
        assert!(!usable(range, nth(range, size(range) - 1)));
        assert!(!usable(range, nth(range, 0)));
        assert!(!usable(range, "10.0.0.1".parse().unwrap()));
        let wide: IpNet = "fd00::/48".parse().unwrap();
        assert!(usable(wide, nth(wide, 77)));
    }
}
