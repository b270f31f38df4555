//! Reading addresses out of a result.

use std::net::IpAddr;

use serde_json::Value;

use super::Error;
use crate::PodAddresses;

/// The pod's addresses: those of `ips`, or, before version 0.3, of `ip4` and `ip6`.
pub(super) fn addresses(result: &Value, plugin: &str) -> Result<PodAddresses, Error> {
    let invalid = |reason: String| Error::Answer { plugin: plugin.to_owned(), reason };
    let listed =
        result.get("ips").and_then(Value::as_array).into_iter().flatten().map(|ip| ip.get("address"));
    let old = ["ip4", "ip6"].map(|family| result.get(family).map(|ip| ip.get("ip")));
    let mut addresses = Vec::new();
    for address in listed.chain(old.into_iter().flatten()) {
        let text =
            address.and_then(Value::as_str).ok_or_else(|| invalid("an ip has no address".to_owned()))?;
        let plain = text.split('/').next().unwrap_or(text);
        let parsed: IpAddr = plain.parse().map_err(|_| invalid(format!("{text:?} is no address")))?;
        addresses.push(parsed);
    }
    if addresses.is_empty() {
        return Err(invalid("it names no address".to_owned()));
    }
    Ok(PodAddresses { addresses })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_of_all_versions_are_read() {
        let read = |result| addresses(&result, "bridge").map(|found| found.addresses);
        let expected: Vec<IpAddr> = vec!["10.1.0.5".parse().unwrap(), "fd00::5".parse().unwrap()];
        assert_eq!(
            read(json!({"ips": [{"address": "10.1.0.5/24"}, {"address": "fd00::5/64"}]})).unwrap(),
            expected
        );
        assert_eq!(
            read(json!({"ip4": {"ip": "10.1.0.5/24"}, "ip6": {"ip": "fd00::5/64"}})).unwrap(),
            expected
        );
        for bad in [json!({}), json!({"ips": []}), json!({"ips": [{}]}), json!({"ips": [{"address": "x"}]})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
