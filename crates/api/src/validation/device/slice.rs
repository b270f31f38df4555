//! What is offered: slices of pools of devices.

use super::super::common::{check, immutable, required, shown};
use super::super::{names, pod};
use super::{binding_conditions, capacity, driver, items, label, pool, qualified, shortened, taint, unique};
use crate::core::v1::NodeSelector;
use crate::field::{Error, ErrorList, Path};
use crate::resource::v1::{
    Device, DeviceAttribute, DeviceCapacity, DeviceCounterConsumption, ResourcePool, ResourceSlice,
    ResourceSliceSpec,
};

const DEVICES_MAX: usize = 128;
/// Where devices have taints or share something.
const ADVANCED_DEVICES_MAX: usize = 64;
const COUNTER_SETS_MAX: usize = 8;
const COUNTERS_MAX: usize = 32;
const CONSUMPTIONS_MAX: usize = 2;
const ATTRIBUTES_MAX: usize = 32;
const TAINTS_MAX: usize = 16;
const VALUE_MAX: usize = 64;
/// A domain, a slash and an identifier.
const KEY_MAX: usize = 63 + 1 + 32;
const TRUE_OR_UNSET: &str = "must be either unset or set to true";
const PER_DEVICE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when \
                          `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
const NOT_PER_DEVICE: &str = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is \
                              set to true in the ResourceSlice spec";

pub(crate) fn slice(slice: &ResourceSlice) -> ErrorList {
    validate(slice, None)
}

pub(crate) fn update(new: &ResourceSlice, old: &ResourceSlice) -> ErrorList {
    validate(new, old.spec.as_ref())
}

fn validate(slice: &ResourceSlice, old: Option<&ResourceSliceSpec>) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = ResourceSliceSpec::default();
    let spec = slice.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    driver(&mut errors, &spec.driver, &path.child("driver"));
    let of_pool = spec.pool.clone().unwrap_or_default();
    validate_pool(&mut errors, &of_pool, &path.child("pool"));
    if let Some(old) = old {
        let before = old.pool.clone().unwrap_or_default().name;
        immutable(&mut errors, &path.child("pool").child("name"), &of_pool.name, &before);
        immutable(&mut errors, &path.child("driver"), &spec.driver, &old.driver);
        immutable(&mut errors, &path.child("nodeName"), &spec.node_name, &old.node_name);
    }
    nodes(&mut errors, spec, &path);
    if !spec.shared_counters.is_empty() && !spec.devices.is_empty() {
        let detail = "only one of `sharedCounters` or `devices` is allowed";
        errors.push(Error::invalid(path.clone(), "", detail));
    }
    devices(&mut errors, spec, old, &path.child("devices"));
    let of_counters = path.child("sharedCounters");
    items(&mut errors, &spec.shared_counters, COUNTER_SETS_MAX, &of_counters, |errors, set, path| {
        counters(errors, &set.name, "name", set.counters.keys(), path);
    });
    if spec.shared_counters.len() <= COUNTER_SETS_MAX {
        let sets = spec.shared_counters.iter().map(|set| set.name.as_str());
        unique(&mut errors, sets, COUNTER_SETS_MAX, &of_counters);
    }
    errors
}

fn validate_pool(errors: &mut ErrorList, of: &ResourcePool, path: &Path) {
    pool(errors, &of.name, &path.child("name"));
    if of.resource_slice_count <= 0 {
        let path = path.child("resourceSliceCount");
        errors.push(Error::invalid(path, of.resource_slice_count, "must be greater than zero"));
    }
    if of.generation < 0 {
        let detail = "must be greater than or equal to zero";
        errors.push(Error::invalid(path.child("generation"), of.generation, detail));
    }
}

/// Where devices can be used: the choices that are made. Of a slice, an empty name is one too many; of a device, it
/// is none.
struct Place<'a> {
    name: Option<&'a str>,
    empty_name: &'static str,
    selector: Option<&'a NodeSelector>,
    all: Option<bool>,
}

impl Place<'_> {
    fn check(&self, errors: &mut ErrorList, path: &Path) -> Vec<&'static str> {
        let mut chosen = Vec::new();
        match self.name {
            None => {}
            Some("") => errors.push(Error::invalid(path.child("nodeName"), "", self.empty_name)),
            Some(name) => {
                chosen.push("`nodeName`");
                check(errors, &path.child("nodeName"), name, names::dns1123_subdomain(name));
            }
        }
        if let Some(selector) = self.selector {
            chosen.push("`nodeSelector`");
            pod::node_selector(errors, selector, &path.child("nodeSelector"));
        }
        choice(errors, self.all, ("allNodes", "`allNodes`"), &mut chosen, path);
        chosen
    }
}

fn choice(
    errors: &mut ErrorList,
    value: Option<bool>,
    (field, shown): (&str, &'static str),
    chosen: &mut Vec<&'static str>,
    path: &Path,
) {
    match value {
        None => {}
        Some(true) => chosen.push(shown),
        Some(false) => errors.push(Error::invalid(path.child(field), false, TRUE_OR_UNSET)),
    }
}

fn nodes(errors: &mut ErrorList, spec: &ResourceSliceSpec, path: &Path) {
    let place = Place {
        name: spec.node_name.as_deref(),
        empty_name: "must be either unset or set to a non-empty string",
        selector: spec.node_selector.as_ref(),
        all: spec.all_nodes,
    };
    let mut chosen = place.check(errors, path);
    if let Some(selector) = spec.node_selector.as_ref().filter(|s| s.node_selector_terms.len() != 1) {
        let path = path.child("nodeSelector").child("nodeSelectorTerms");
        let detail = "must have exactly one node selector term";
        errors.push(Error::invalid(path, shown(&selector.node_selector_terms), detail));
    }
    let per_device = ("perDeviceNodeSelection", "`perDeviceNodeSelection`");
    choice(errors, spec.per_device_node_selection, per_device, &mut chosen, path);
    let one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match chosen.len() {
        0 => errors.push(Error::required(path.clone(), one)),
        1 => {}
        _ => {
            let shown = format!("{{{}}}", chosen.join(", "));
            errors.push(Error::invalid(path.clone(), shown, format!("{one}, but multiple fields are set")));
        }
    }
}

fn devices(errors: &mut ErrorList, spec: &ResourceSliceSpec, old: Option<&ResourceSliceSpec>, path: &Path) {
    let is_advanced = |device: &Device| !device.taints.is_empty() || !device.consumes_counters.is_empty();
    let max = if spec.devices.iter().any(is_advanced) { ADVANCED_DEVICES_MAX } else { DEVICES_MAX };
    let per_device = spec.per_device_node_selection == Some(true);
    items(errors, &spec.devices, max, path, |errors, one, path| {
        let before = old.and_then(|old| old.devices.iter().find(|before| before.name == one.name));
        device(errors, one, before, per_device, path);
    });
    if spec.devices.len() <= max {
        unique(errors, spec.devices.iter().map(|device| device.name.as_str()), max, path);
    }
}

fn device(errors: &mut ErrorList, device: &Device, old: Option<&Device>, per_device: bool, path: &Path) {
    label(errors, &device.name, &path.child("name"));
    let total = device.attributes.len() + device.capacity.len();
    if total > ATTRIBUTES_MAX {
        let detail =
            format!("the total number of attributes and capacities must not exceed {ATTRIBUTES_MAX}");
        errors.push(Error::invalid(path.clone(), total, detail));
    }
    let of_attributes = path.child("attributes");
    for (name, value) in &device.attributes {
        qualified(errors, name, &of_attributes);
        attribute(errors, value, &of_attributes.key(&shortened(name, KEY_MAX)));
    }
    // What is as it was is not looked at again.
    if old.is_none_or(|old| old.capacity != device.capacity) {
        let of_capacity = path.child("capacity");
        for (name, value) in &device.capacity {
            qualified(errors, name, &of_capacity);
            let shared = device.allow_multiple_allocations == Some(true);
            capacity_of(errors, value, shared, &of_capacity.key(&shortened(name, KEY_MAX)));
        }
    }
    if old.is_none_or(|old| old.taints != device.taints) {
        items(errors, &device.taints, TAINTS_MAX, &path.child("taints"), taint);
    }
    consumptions(errors, &device.consumes_counters, &path.child("consumesCounters"));
    place(errors, device, per_device, path);
    binding_conditions(errors, &device.binding_conditions, &device.binding_failure_conditions, path);
}

fn consumptions(errors: &mut ErrorList, consumptions: &[DeviceCounterConsumption], path: &Path) {
    items(errors, consumptions, CONSUMPTIONS_MAX, path, |errors, one, path| {
        counters(errors, &one.counter_set, "counterSet", one.counters.keys(), path);
    });
    if consumptions.len() <= CONSUMPTIONS_MAX {
        unique(errors, consumptions.iter().map(|one| one.counter_set.as_str()), CONSUMPTIONS_MAX, path);
    }
}

/// Counters of a set, and the set's name.
fn counters<'a>(
    errors: &mut ErrorList,
    set: &str,
    field: &str,
    counters: impl ExactSizeIterator<Item = &'a String>,
    path: &Path,
) {
    required(errors, &path.child(field), set);
    if !set.is_empty() {
        label(errors, set, &path.child(field));
    }
    let path = path.child("counters");
    match counters.len() {
        0 => errors.push(Error::required(path, "")),
        count if count > COUNTERS_MAX => errors.push(Error::too_many(path, count, COUNTERS_MAX)),
        _ => counters.for_each(|name| label(errors, name, &path)),
    }
}

fn place(errors: &mut ErrorList, device: &Device, per_device: bool, path: &Path) {
    let place = Place {
        name: device.node_name.as_deref(),
        empty_name: "must not be empty",
        selector: device.node_selector.as_ref(),
        all: device.all_nodes,
    };
    if !per_device {
        if place.name.is_some() || place.selector.is_some() || place.all.is_some() {
            errors.push(Error::invalid(path.clone(), serde_json::Value::Null, NOT_PER_DEVICE));
        }
        return;
    }
    let chosen = place.check(errors, path);
    match chosen.len() {
        0 => errors.push(Error::required(path.clone(), PER_DEVICE)),
        1 => {}
        _ => errors.push(Error::invalid(path.clone(), format!("{{{}}}", chosen.join(", ")), PER_DEVICE)),
    }
}

fn attribute(errors: &mut ErrorList, attribute: &DeviceAttribute, path: &Path) {
    for (field, text) in [("string", &attribute.string), ("version", &attribute.version)] {
        let Some(text) = text else { continue };
        if field == "version" && !is_version(text) {
            let detail = "must be a string compatible with semver.org spec 2.0.0";
            errors.push(Error::invalid(path.child(field), text.as_str(), detail));
        }
        if text.len() > VALUE_MAX {
            errors.push(Error::too_long(path.child(field), VALUE_MAX));
        }
    }
    let set = [
        attribute.int.is_some(),
        attribute.bool.is_some(),
        attribute.string.is_some(),
        attribute.version.is_some(),
    ];
    let detail = "exactly one value must be specified";
    match set.iter().filter(|set| **set).count() {
        0 => errors.push(Error::invalid(path.clone(), "", detail)),
        1 => {}
        _ => errors.push(Error::invalid(path.clone(), shown(attribute), detail)),
    }
}

/// A semantic version: three numbers, and after them what comes before a release, and a build.
fn is_version(text: &str) -> bool {
    let number = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'))
    };
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (text, before) = text.split_once('-').map_or((text, None), |(text, before)| (text, Some(before)));
    let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    text.split('.').count() == 3
        && text.split('.').all(number)
        && before
            .is_none_or(|all| all.split('.').all(|part| word(part) && (!digits_only(part) || number(part))))
        && build.is_none_or(|all| all.split('.').all(word))
}

fn capacity_of(errors: &mut ErrorList, of: &DeviceCapacity, shared: bool, path: &Path) {
    let Some(policy) = &of.request_policy else { return };
    let path = path.child("requestPolicy");
    if shared {
        capacity::policy(errors, policy, &of.value.clone().unwrap_or_default(), &path);
    } else {
        errors.push(Error::forbidden(path, "allowMultipleAllocations must be true"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(more: Value) -> ResourceSlice {
        let mut spec = json!({
            "driver": "d.example", "pool": { "name": "p", "resourceSliceCount": 1 }, "nodeName": "n",
            "devices": [{ "name": "a" }],
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    fn found(more: Value) -> Vec<String> {
        texts(&slice(&of(more)))
    }

    #[test]
    fn a_slice_is_of_a_pool_and_somewhere() {
        assert_eq!(found(json!({})), Vec::<String>::new());
        let one =
            "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
        assert_eq!(
            texts(&slice(&ResourceSlice::default())),
            [
                "spec.driver: Required value".to_owned(),
                "spec.pool.name: Required value".to_owned(),
                "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero".to_owned(),
                format!("spec: Required value: {one}"),
            ]
        );
        assert_eq!(
            found(json!({ "allNodes": true })),
            [format!(
                "spec: Invalid value: \"{{`nodeName`, `allNodes`}}\": {one}, but multiple fields are set"
            )]
        );
        assert_eq!(
            found(json!({ "nodeName": "", "perDeviceNodeSelection": false })),
            [
                "spec.nodeName: Invalid value: \"\": must be either unset or set to a non-empty string"
                    .to_owned(),
                "spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true"
                    .to_owned(),
                format!("spec: Required value: {one}"),
            ]
        );
        let term = json!({ "matchExpressions": [{ "key": "a", "operator": "Exists" }] });
        let selector = json!({ "nodeName": null, "nodeSelector": { "nodeSelectorTerms": [term, term] } });
        let errors = found(selector);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].ends_with("must have exactly one node selector term"), "{errors:?}");
    }

    #[test]
    fn identity_stays() {
        let new = of(
            json!({ "driver": "e.example", "nodeName": "m", "pool": { "name": "q", "resourceSliceCount": 1 } }),
        );
        assert_eq!(
            texts(&update(&new, &of(json!({})))),
            [
                "spec.pool.name: Invalid value: \"q\": field is immutable",
                "spec.driver: Invalid value: \"e.example\": field is immutable",
                "spec.nodeName: Invalid value: \"m\": field is immutable",
            ]
        );
    }

    #[test]
    fn devices_have_names_and_values() {
        let device = json!({
            "name": "a",
            "attributes": {
                "model": { "string": "x" }, "d.example/n": { "int": 1 }, "v": { "version": "1.2.3-a.1+b" },
            },
            "capacity": { "memory": { "value": "1Gi" } },
            "taints": [{ "key": "k", "effect": "NoSchedule" }],
        });
        assert_eq!(found(json!({ "devices": [device] })), Vec::<String>::new());
        let wrong = json!({
            "name": "A",
            "attributes": { "a": {}, "b": { "int": 1, "bool": true }, "c": { "version": "1" } },
            "capacity": { "memory": { "value": "1", "requestPolicy": {} } },
            "nodeName": "n",
        });
        let errors = found(json!({ "devices": [{ "name": "a" }, { "name": "a" }, wrong] }));
        let paths: Vec<&str> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
        let expected = [
            "spec.devices[2].name",
            "spec.devices[2].attributes[a]",
            "spec.devices[2].attributes[b]",
            "spec.devices[2].attributes[c].version",
            "spec.devices[2].capacity[memory].requestPolicy",
            "spec.devices[2]",
            "spec.devices[1]",
        ];
        assert_eq!(paths, expected);
        let many: Vec<Value> = (0..129).map(|i| json!({ "name": format!("d{i}") })).collect();
        assert_eq!(
            found(json!({ "devices": many })),
            ["spec.devices: Too many: 129: must have at most 128 items"]
        );
        let attributes: serde_json::Map<String, Value> =
            (0..33).map(|i| (format!("a{i}"), json!({ "int": i }))).collect();
        assert_eq!(
            found(json!({ "devices": [{ "name": "a", "attributes": attributes }] })),
            [
                "spec.devices[0]: Invalid value: 33: the total number of attributes and capacities must not exceed 32"
            ]
        );
    }

    #[test]
    fn each_device_may_be_somewhere_else() {
        let slice =
            |device: Value| json!({ "nodeName": null, "perDeviceNodeSelection": true, "devices": [device] });
        assert_eq!(found(slice(json!({ "name": "a", "allNodes": true }))), Vec::<String>::new());
        assert_eq!(
            found(slice(json!({ "name": "a" }))),
            [format!("spec.devices[0]: Required value: {PER_DEVICE}")]
        );
        let both = found(slice(json!({ "name": "a", "allNodes": true, "nodeName": "n" })));
        assert_eq!(
            both,
            [format!("spec.devices[0]: Invalid value: \"{{`nodeName`, `allNodes`}}\": {PER_DEVICE}")]
        );
    }

    #[test]
    fn counters_are_shared() {
        let set = json!({ "name": "s", "counters": { "memory": { "value": "1Gi" } } });
        assert_eq!(found(json!({ "devices": null, "sharedCounters": [set] })), Vec::<String>::new());
        assert_eq!(
            found(json!({ "sharedCounters": [set, {}] })),
            [
                "spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed",
                "spec.sharedCounters[1].name: Required value",
                "spec.sharedCounters[1].counters: Required value",
            ]
        );
        let counters = json!({ "M": { "value": "1" } });
        let takes = json!({ "name": "a", "consumesCounters": [{ "counterSet": "s", "counters": counters }] });
        assert_eq!(found(json!({ "devices": [takes] })).len(), 1);
    }

    #[test]
    fn versions_are_semantic() {
        for good in ["0.0.0", "1.2.3", "1.2.3-alpha.1", "1.2.3+build.01", "1.2.3-0a.b-c+d"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.2", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "v1.2.3", "1.2.3.4"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
