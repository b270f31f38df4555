//! The ranges that services get their addresses from, and the addresses that are taken.

use serde_json::json;

use super::{
    addresses::{self, Range},
    common::{IMMUTABLE, check, immutable, shown},
    ingress::required_segment,
    names,
};
use crate::field::{Error, ErrorList, Path};
use crate::networking::v1::{IpAddress, ParentReference, ServiceCidr, ServiceCidrSpec};

pub(crate) fn address(address: &IpAddress) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("spec").child("parentRef");
    let Some(parent) = parent(address) else {
        errors.push(Error::required(path, ""));
        return errors;
    };
    if !parent.group.is_empty() {
        check(&mut errors, &path.child("group"), &parent.group, names::dns1123_subdomain(&parent.group));
    }
    required_segment(&mut errors, &parent.resource, &path.child("resource"));
    required_segment(&mut errors, &parent.name, &path.child("name"));
    check(&mut errors, &path.child("namespace"), &parent.namespace, names::path_segment(&parent.namespace));
    errors
}

fn parent(address: &IpAddress) -> Option<&ParentReference> {
    address.spec.as_ref()?.parent_ref.as_ref()
}

pub(crate) fn address_update(new: &IpAddress, old: &IpAddress) -> ErrorList {
    let mut errors = address(new);
    immutable(&mut errors, &Path::new("spec").child("parentRef"), &parent(new), &parent(old));
    errors
}

fn path() -> Path {
    Path::new("spec").child("cidrs")
}

pub(crate) fn ranges(ranges: &ServiceCidr) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = ServiceCidrSpec::default();
    let spec = ranges.spec.as_ref().unwrap_or(&empty);
    match spec.cidrs.len() {
        0 => errors.push(Error::required(path(), "at least one CIDR required")),
        1 | 2 => {
            for (i, cidr) in spec.cidrs.iter().enumerate() {
                check(&mut errors, &path().index(i), cidr, addresses::canonical_cidr(cidr));
            }
            let families: Vec<_> =
                spec.cidrs.iter().filter_map(|cidr| Range::parse(cidr)).map(Range::is_ipv6).collect();
            if matches!(families[..], [first, second] if first == second) {
                let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
                errors.push(Error::invalid(path(), shown(&spec.cidrs), detail));
            }
        }
        _ => errors.push(Error::invalid(
            path(),
            json!({ "CIDRs": spec.cidrs }),
            "may only hold up to 2 values",
        )),
    }
    errors
}

/// Nothing changes, but for a second range that is added.
pub(crate) fn update(new: &ServiceCidr, old: &ServiceCidr) -> ErrorList {
    let mut errors = ranges(new);
    let cidrs = |ranges: &ServiceCidr| ranges.spec.clone().unwrap_or_default().cidrs;
    let (new, old) = (cidrs(new), cidrs(old));
    if new.len() == old.len() || (old.len(), new.len()) == (1, 2) {
        let changed = new.iter().zip(&old).enumerate().filter(|(_, (new, old))| new != old);
        errors.extend(changed.map(|(i, (new, _))| Error::invalid(path().index(i), new.as_str(), IMMUTABLE)));
    } else {
        errors.push(Error::invalid(path(), shown(&new), IMMUTABLE));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::validation::common::texts;

    fn cidrs(cidrs: &[&str]) -> ServiceCidr {
        serde_json::from_value(json!({ "spec": { "cidrs": cidrs } })).unwrap()
    }

    #[test]
    fn there_is_a_range_of_each_family_at_most() {
        for good in [&["10.0.0.0/8"][..], &["fd00::/64", "10.0.0.0/8"]] {
            assert_eq!(ranges(&cidrs(good)), [], "{good:?}");
        }
        assert_eq!(
            texts(&ranges(&ServiceCidr::default())),
            ["spec.cidrs: Required value: at least one CIDR required"]
        );
        assert_eq!(
            texts(&ranges(&cidrs(&["10.0.0.0/8", "11.0.0.1/8"]))),
            [
                "spec.cidrs[1]: Invalid value: \"11.0.0.1/8\": must not have bits set beyond the prefix length",
                "spec.cidrs: Invalid value: [\"10.0.0.0/8\",\"11.0.0.1/8\"]: may specify no more than one IP for each \
                 IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ]
        );
        assert_eq!(
            texts(&ranges(&cidrs(&["a", "b", "c"]))),
            ["spec.cidrs: Invalid value: {\"CIDRs\":[\"a\",\"b\",\"c\"]}: may only hold up to 2 values"]
        );
    }

    #[test]
    fn a_second_range_may_be_added() {
        let (one, two) = (cidrs(&["10.0.0.0/8"]), cidrs(&["10.0.0.0/8", "fd00::/64"]));
        assert_eq!(update(&one, &one), []);
        assert_eq!(update(&two, &one), []);
        assert_eq!(
            texts(&update(&one, &two)),
            ["spec.cidrs: Invalid value: [\"10.0.0.0/8\"]: field is immutable"]
        );
        assert_eq!(
            texts(&update(&cidrs(&["11.0.0.0/8", "fd00::/64"]), &one)),
            ["spec.cidrs[0]: Invalid value: \"11.0.0.0/8\": field is immutable"]
        );
    }

    #[test]
    fn an_address_is_somebodys() {
        let of = |parent: Value| -> IpAddress {
            serde_json::from_value(json!({ "spec": { "parentRef": parent } })).unwrap()
        };
        let good = of(json!({ "resource": "services", "namespace": "default", "name": "a" }));
        assert_eq!(address(&good), []);
        assert_eq!(texts(&address(&IpAddress::default())), ["spec.parentRef: Required value"]);
        assert_eq!(
            texts(&address(&of(json!({ "namespace": "a/b" })))),
            [
                "spec.parentRef.resource: Required value",
                "spec.parentRef.name: Required value",
                "spec.parentRef.namespace: Invalid value: \"a/b\": may not contain '/'",
            ]
        );
        let moved = of(json!({ "resource": "services", "name": "b" }));
        assert_eq!(
            texts(&address_update(&moved, &good)),
            ["spec.parentRef: Invalid value: {\"name\":\"b\",\"resource\":\"services\"}: field is immutable"]
        );
    }
}
