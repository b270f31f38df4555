//! Cluster addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gantry_api::Resource as _;
use gantry_api::core::v1::{Service, ServiceSpec};
use gantry_api::field::{Error, Path};
use gantry_api::networking::v1::ServiceCidr;
use ipnet::IpNet;

use super::reserve::{Holder, Outcome, Reserved};
use crate::cache::Selection;
use crate::status::{ApiError, Reason};
use crate::verbs::Verbs;

/// Where the reservations are, below the prefix of all keys.
pub(super) const PREFIX: &str = "gantry/service-addresses/";
/// The object of the range that the cluster began with.
const DEFAULT: &str = "kubernetes";
/// How many addresses are tried at random before the range counts as full.
const TRIES: u32 = 256;

/// The key of an address; none if the text is not one.
pub(super) fn key(text: &str) -> Option<String> {
    let address: IpAddr = text.parse().ok()?;
    Some(format!("{PREFIX}{address}"))
}

/// The address of a key; none if it is a key of something else.
pub(super) fn of_key(key: &str) -> Option<IpAddr> {
    key.strip_prefix(PREFIX)?.parse().ok()
}

/// The ranges of an object that addresses may be taken from.
fn ready_ranges(object: &ServiceCidr) -> Vec<IpNet> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.into_iter().any(|one| one.r#type == "Ready" && one.status == "True");
    if !ready || object.meta().deletion_timestamp.is_some() {
        return Vec::new();
    }
    let cidrs = object.spec.iter().flat_map(|spec| &spec.cidrs);
    cidrs.filter_map(|cidr| cidr.parse().ok()).collect()
}

impl Verbs {
    /// The ranges that addresses are taken from: those that are ready, this server's own first. That one counts, too,
    /// until the cluster has an object of it.
    fn service_ranges(&self) -> Result<Vec<IpNet>, ApiError> {
        let own = self.settings().service_cidr;
        let page = self.cache(ServiceCidr::kind())?.list(&Selection::default(), None, 0)?;
        let has_default = page.items.iter().any(|entry| entry.name() == DEFAULT);
        let mut ranges = if has_default { Vec::new() } else { vec![own.trunc()] };
        for entry in &page.items {
            let object = entry.object()?;
            ranges.extend(object.downcast_ref().map(ready_ranges).unwrap_or_default());
        }
        let same_family = |range: &IpNet| range.max_prefix_len() == own.max_prefix_len();
        ranges.retain(same_family);
        ranges.sort_by_key(|range| *range != own.trunc());
        ranges.dedup();
        Ok(ranges)
    }

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
        let address = if spec.cluster_ip.is_empty() {
            self.any_of(&self.service_ranges()?, holder, reserved).await?
        } else {
            self.that_address(&self.service_ranges()?, &spec.cluster_ip, holder, reserved).await?
        };
        spec.cluster_ip = address.to_string();
        spec.cluster_ips = vec![address.to_string()];
        set_family(spec, Some(address));
        Ok(())
    }

    async fn that_address(
        &self,
        ranges: &[IpNet],
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
        if !ranges.iter().any(|range| usable(*range, address)) && !holder.holds(&key) {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            let ranges = ranges.join(", ");
            return refused(format!(
                "the provided IP is not in the valid range. The range of valid IPs is {ranges}"
            ));
        }
        match self.reserve_key(key, holder, reserved).await? {
            Outcome::Reserved => Ok(address),
            Outcome::Taken => refused("provided IP is already allocated".to_owned()),
        }
    }

    /// An address of the first range that has one.
    async fn any_of(
        &self,
        ranges: &[IpNet],
        holder: &Holder,
        reserved: &mut Reserved,
    ) -> Result<IpAddr, ApiError> {
        for range in ranges {
            if let Some(address) = self.any_address(*range, holder, reserved).await? {
                return Ok(address);
            }
        }
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        let text = format!("failed to allocate a serviceIP: range is full: {}", ranges.join(", "));
        Err(ApiError::new(Reason::InternalError, text))
    }

    async fn any_address(
        &self,
        range: IpNet,
        holder: &Holder,
        reserved: &mut Reserved,
    ) -> Result<Option<IpAddr>, ApiError> {
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
                return Ok(Some(address));
            }
        }
        Ok(None)
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
    fn a_range_counts_while_it_is_ready() {
        let of = |status: &str, deleted: serde_json::Value| -> ServiceCidr {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": "a", "deletionTimestamp": deleted}, "spec": {"cidrs": ["10.0.0.0/24"]},
                "status": {"conditions": [{"type": "Ready", "status": status, "reason": "", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
            }))
            .unwrap()
        };
        let never = serde_json::Value::Null;
        assert_eq!(ready_ranges(&of("True", never.clone())), ["10.0.0.0/24".parse::<IpNet>().unwrap()]);
        assert!(ready_ranges(&of("False", never)).is_empty());
        assert!(ready_ranges(&of("True", "2026-01-01T00:00:00Z".into())).is_empty());
        assert_eq!(of_key(&key("10.0.0.9").unwrap()), Some("10.0.0.9".parse().unwrap()));
        assert_eq!(of_key("gantry/node-ports/30000"), None);
    }

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
