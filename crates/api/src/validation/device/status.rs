//! What became of a claim.

use std::net::IpAddr;

use super::super::common::{immutable, required, required_enumerated};
use super::super::{conditions, names, pod};
use super::claim::{CONFIG_MAX, Requests, configuration};
use super::{binding_conditions, driver, items, label, object, pool, tolerations, uid, unique};
use crate::Resource as _;
use crate::field::{Error, ErrorList, Path};
use crate::resource::v1::{
    AllocatedDeviceStatus, AllocationResult, DeviceRequestAllocationResult, NetworkDeviceData, ResourceClaim,
};

const RESERVED_MAX: usize = 256;
const RESULTS_MAX: usize = 32;
const CONDITIONS_MAX: usize = 8;
const INTERFACE_NAME_MAX: usize = 256;
const HARDWARE_ADDRESS_MAX: usize = 128;
const IPS_MAX: usize = 16;

pub(crate) fn update(new: &ResourceClaim, old: &ResourceClaim) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("status");
    let (status, before) = (new.status.clone().unwrap_or_default(), old.status.clone().unwrap_or_default());
    let of_reserved = path.child("reservedFor");
    items(&mut errors, &status.reserved_for, RESERVED_MAX, &of_reserved, |errors, consumer, path| {
        for (field, value) in
            [("resource", &consumer.resource), ("name", &consumer.name), ("uid", &consumer.uid)]
        {
            required(errors, &path.child(field), value);
        }
    });
    if status.reserved_for.len() <= RESERVED_MAX {
        unique(
            &mut errors,
            status.reserved_for.iter().map(|one| one.uid.as_str()),
            RESERVED_MAX,
            &of_reserved,
        );
    }
    let results =
        status.allocation.iter().flat_map(|allocation| &allocation.devices).flat_map(|d| &d.results);
    let allocated: Vec<String> =
        results.map(|one| id(&one.driver, &one.pool, &one.device, one.share_id.as_deref())).collect();
    devices(&mut errors, &status.devices, &allocated, &path.child("devices"));
    if !status.reserved_for.is_empty() {
        let added = status.reserved_for.iter().any(|one| !before.reserved_for.contains(one));
        if status.allocation.is_none() {
            let detail = "may not be specified when `allocated` is not set";
            errors.push(Error::forbidden(of_reserved, detail));
        } else if new.meta().deletion_timestamp.is_some() && added {
            let detail =
                "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.push(Error::forbidden(of_reserved, detail));
        }
    }
    match (&status.allocation, &before.allocation) {
        (Some(now), Some(before)) => immutable(&mut errors, &path.child("allocation"), now, before),
        (Some(now), None) => {
            let claim = new.spec.clone().unwrap_or_default().devices.unwrap_or_default();
            allocation(&mut errors, now, &Requests::of(&claim), &path.child("allocation"));
        }
        (None, _) => {}
    }
    errors
}

/// What tells an allocated device, or a share of it, from all others.
fn id(driver: &str, pool: &str, device: &str, share: Option<&str>) -> String {
    let share = share.map(|share| format!("/{share}")).unwrap_or_default();
    format!("{driver}/{pool}/{device}{share}")
}

fn allocation(errors: &mut ErrorList, allocation: &AllocationResult, requests: &Requests<'_>, path: &Path) {
    let of_devices = path.child("devices");
    let devices = allocation.devices.clone().unwrap_or_default();
    items(errors, &devices.results, RESULTS_MAX, &of_devices.child("results"), |errors, one, path| {
        result(errors, one, requests, path);
    });
    // Those of classes and those of the claim.
    items(errors, &devices.config, 2 * CONFIG_MAX, &of_devices.child("config"), |errors, config, path| {
        let field = "resource.v1.DeviceAllocationConfiguration.source";
        required_enumerated(errors, &path.child("source"), &config.source, field);
        requests.references(errors, &config.requests, path);
        configuration(errors, config.device_configuration.as_ref(), false, path);
    });
    if let Some(selector) = &allocation.node_selector {
        pod::node_selector(errors, selector, &path.child("nodeSelector"));
    }
}

fn result(
    errors: &mut ErrorList,
    result: &DeviceRequestAllocationResult,
    requests: &Requests<'_>,
    path: &Path,
) {
    requests.reference(errors, &result.request, &path.child("request"));
    driver(errors, &result.driver, &path.child("driver"));
    pool(errors, &result.pool, &path.child("pool"));
    label(errors, &result.device, &path.child("device"));
    binding_conditions(errors, &result.binding_conditions, &result.binding_failure_conditions, path);
    tolerations(errors, &result.tolerations, &path.child("tolerations"));
    if let Some(share) = &result.share_id {
        uid(errors, share, &path.child("shareID"));
    }
}

fn devices(errors: &mut ErrorList, devices: &[AllocatedDeviceStatus], allocated: &[String], path: &Path) {
    let ids: Vec<String> =
        devices.iter().map(|one| id(&one.driver, &one.pool, &one.device, one.share_id.as_deref())).collect();
    for (i, (one, id)) in devices.iter().zip(&ids).enumerate() {
        let path = path.index(i);
        driver(errors, &one.driver, &path.child("driver"));
        pool(errors, &one.pool, &path.child("pool"));
        label(errors, &one.device, &path.child("device"));
        if let Some(share) = &one.share_id {
            uid(errors, share, &path.child("shareID"));
        }
        if !allocated.contains(id) {
            let detail = "must be an allocated device in the claim";
            errors.push(Error::invalid(path.clone(), id.as_str(), detail));
        }
        let of_conditions = path.child("conditions");
        if one.conditions.len() > CONDITIONS_MAX {
            errors.push(Error::too_many(of_conditions.clone(), one.conditions.len(), CONDITIONS_MAX));
        }
        conditions::validate(errors, &one.conditions, &of_conditions);
        if one.data.as_ref().is_some_and(|data| !data.raw.is_empty()) {
            object(errors, one.data.as_ref(), false, &path.child("data"));
        }
        if let Some(data) = &one.network_data {
            network(errors, data, &path.child("networkData"));
        }
    }
    unique(errors, ids.iter().map(String::as_str), ids.len(), path);
}

fn network(errors: &mut ErrorList, data: &NetworkDeviceData, path: &Path) {
    for (field, text, max) in [
        ("interfaceName", &data.interface_name, INTERFACE_NAME_MAX),
        ("hardwareAddress", &data.hardware_address, HARDWARE_ADDRESS_MAX),
    ] {
        if text.len() > max {
            errors.push(Error::too_long(path.child(field), max));
        }
    }
    let of_ips = path.child("ips");
    items(errors, &data.ips, IPS_MAX, &of_ips, |errors, address, path| interface(errors, address, path));
    if data.ips.len() <= IPS_MAX {
        unique(errors, data.ips.iter().map(String::as_str), IPS_MAX, &of_ips);
    }
}

/// An address with the length of its network's prefix, as it is usually written.
fn interface(errors: &mut ErrorList, text: &str, path: &Path) {
    let parts = text.split_once('/').filter(|_| names::cidr(text).is_empty());
    let parsed = parts.and_then(|(ip, bits)| Some((ip.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?)));
    let detail = match parsed.map(|(ip, bits)| format!("{ip}/{bits}")) {
        None => "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)".to_owned(),
        Some(usual) if usual != text => format!("must be in canonical form ({usual:?})"),
        Some(_) => return,
    };
    errors.push(Error::invalid(path.clone(), text, detail));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(status: Value) -> ResourceClaim {
        let request = json!({ "name": "a", "exactly": { "deviceClassName": "gpu" } });
        let spec = json!({ "devices": { "requests": [request] } });
        serde_json::from_value(json!({ "spec": spec, "status": status })).unwrap()
    }

    fn allocated() -> Value {
        let result = json!({ "request": "a", "driver": "d.example", "pool": "p", "device": "x" });
        json!({ "devices": { "results": [result] } })
    }

    fn consumer(uid: &str) -> Value {
        json!({ "resource": "pods", "name": "p", "uid": uid })
    }

    #[test]
    fn an_allocation_answers_requests_and_stays() {
        let good = of(json!({ "allocation": allocated() }));
        assert_eq!(update(&good, &of(json!({}))), []);
        assert_eq!(update(&of(json!({})), &good), []);
        let mut other = allocated();
        other["devices"]["results"][0]["device"] = json!("y");
        let other = of(json!({ "allocation": other }));
        let errors = update(&other, &good);
        assert_eq!((errors.len(), errors[0].path.as_str()), (1, "status.allocation"));
        let wrong = json!({
            "devices": { "results": [{ "request": "b" }], "config": [{ "source": "x", "opaque": { "driver": "d" } }] },
        });
        let paths: Vec<String> = update(&of(json!({ "allocation": wrong })), &of(json!({})))
            .iter()
            .map(|error| error.path.as_str().trim_start_matches("status.allocation.devices.").to_owned())
            .collect();
        let expected = [
            "results[0].request",
            "results[0].driver",
            "results[0].pool",
            "results[0].device",
            "config[0].source",
            "config[0].opaque.parameters",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn only_what_is_allocated_is_reserved() {
        let reserved = |uids: &[&str], allocation: Value| {
            let consumers: Vec<Value> = uids.iter().map(|uid| consumer(uid)).collect();
            of(json!({ "reservedFor": consumers, "allocation": allocation }))
        };
        assert_eq!(update(&reserved(&["1"], allocated()), &of(json!({}))), []);
        assert_eq!(
            texts(&update(&reserved(&["1", "1"], Value::Null), &of(json!({})))),
            [
                "status.reservedFor[1]: Duplicate value: \"1\"",
                "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
            ]
        );
        let mut going = reserved(&["1", "2"], allocated());
        going.meta_mut().deletion_timestamp = Some(crate::scalars::Time::default());
        assert_eq!(update(&going, &reserved(&["1"], allocated())).len(), 1);
        assert_eq!(update(&going, &reserved(&["1", "2"], allocated())), []);
    }

    #[test]
    fn drivers_speak_of_their_devices() {
        let status = |device: Value| of(json!({ "allocation": allocated(), "devices": [device] }));
        let good = json!({
            "driver": "d.example", "pool": "p", "device": "x", "data": { "a": 1 },
            "networkData": { "interfaceName": "eth0", "ips": ["10.0.0.1/24", "fd00::1/64"] },
        });
        assert_eq!(update(&status(good.clone()), &of(json!({}))), []);
        let mut other = good.clone();
        other["device"] = json!("y");
        assert_eq!(
            texts(&update(&status(other), &of(json!({})))),
            ["status.devices[0]: Invalid value: \"d.example/p/y\": must be an allocated device in the claim"]
        );
        let mut wrong = good;
        wrong["networkData"] =
            json!({ "ips": ["10.0.0.1", "FD00::1/64"], "hardwareAddress": "x".repeat(129) });
        assert_eq!(
            texts(&update(&status(wrong), &of(json!({})))),
            [
                "status.devices[0].networkData.hardwareAddress: Too long: may not be more than 128 bytes",
                "status.devices[0].networkData.ips[0]: Invalid value: \"10.0.0.1\": must be a valid address in CIDR \
                 form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
                "status.devices[0].networkData.ips[1]: Invalid value: \"FD00::1/64\": must be in canonical form \
                 (\"fd00::1/64\")",
            ]
        );
    }
}
