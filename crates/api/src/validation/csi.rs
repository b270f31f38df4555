//! Drivers of volumes, the nodes that have them, and how much they can still store.

use super::{
    common::{Unique, check, enumerated, immutable, non_negative, required},
    names, pod, selector,
};
use crate::Resource as _;
use crate::field::{Error, ErrorList, Path};
use crate::storage::v1::{
    CsiDriver, CsiDriverSpec, CsiNode, CsiNodeDriver, CsiNodeSpec, CsiStorageCapacity, TokenRequest,
};

const NAME_MAX: usize = 63;
const NODE_ID_MAX: usize = 256;
const SECONDS_BETWEEN_UPDATES: i64 = 10;
/// Ten minutes.
const TOKEN_SECONDS_MIN: i64 = 600;
const TOKEN_SECONDS_MAX: i64 = 1 << 32;

/// The name of a driver where another object names it.
pub(super) fn driver_name(errors: &mut ErrorList, name: &str, path: &Path) {
    required(errors, path, name);
    if name.len() > NAME_MAX {
        errors.push(Error::too_long(path.clone(), NAME_MAX));
    }
    check(errors, path, name, names::dns1123_subdomain(&name.to_lowercase()));
}

pub(crate) fn driver(driver: &CsiDriver) -> ErrorList {
    let mut errors = ErrorList::new();
    driver_name(&mut errors, driver.name(), &Path::new("name"));
    let empty = CsiDriverSpec::default();
    let spec = driver.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    let missing = |errors: &mut ErrorList, field: &str, value: Option<bool>| {
        if value.is_none() {
            errors.push(Error::required(path.child(field), ""));
        }
    };
    // Upstream's name of the field in errors, and so ours.
    missing(&mut errors, "attachedRequired", spec.attach_required);
    missing(&mut errors, "podInfoOnMount", spec.pod_info_on_mount);
    missing(&mut errors, "storageCapacity", spec.storage_capacity);
    if let Some(policy) = &spec.fs_group_policy {
        enumerated(
            &mut errors,
            &path.child("fsGroupPolicy"),
            policy,
            "storage.v1.CSIDriverSpec.fsGroupPolicy",
        );
    }
    tokens(&mut errors, &spec.token_requests, &path.child("tokenRequests"));
    for mode in &spec.volume_lifecycle_modes {
        let field = "storage.v1.CSIDriverSpec.volumeLifecycleModes";
        enumerated(&mut errors, &path.child("volumeLifecycleModes"), mode, field);
    }
    missing(&mut errors, "seLinuxMount", spec.se_linux_mount);
    if let Some(seconds) = spec.node_allocatable_update_period_seconds
        && seconds < SECONDS_BETWEEN_UPDATES
    {
        let path = path.child("nodeAllocatableUpdatePeriodSeconds");
        errors.push(Error::invalid(path, seconds, "must be greater than or equal to 10 seconds"));
    }
    if let Some(in_secrets) = spec.service_account_token_in_secrets
        && spec.token_requests.is_empty()
    {
        let detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        errors.push(Error::invalid(path.child("serviceAccountTokenInSecrets"), in_secrets, detail));
    }
    errors
}

fn tokens(errors: &mut ErrorList, requests: &[TokenRequest], path: &Path) {
    let mut audiences = Unique::new();
    for (i, request) in requests.iter().enumerate() {
        let path = path.index(i);
        if !audiences.check(errors, &path.child("audience"), &request.audience) {
            continue;
        }
        let Some(seconds) = request.expiration_seconds else { continue };
        let path = path.child("expirationSeconds");
        if seconds < TOKEN_SECONDS_MIN {
            let detail = "may not specify a duration less than 10 minutes";
            errors.push(Error::invalid(path, seconds, detail));
        } else if seconds > TOKEN_SECONDS_MAX {
            let detail = "may not specify a duration larger than 2^32 seconds";
            errors.push(Error::invalid(path, seconds, detail));
        }
    }
}

pub(crate) fn driver_update(new: &CsiDriver, old: &CsiDriver) -> ErrorList {
    let mut errors = driver(new);
    let (new, old) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let path = Path::new("spec");
    let attach = path.child("attachedRequired");
    immutable(&mut errors, &attach, &new.attach_required, &old.attach_required);
    let modes = path.child("volumeLifecycleModes");
    immutable(&mut errors, &modes, &new.volume_lifecycle_modes, &old.volume_lifecycle_modes);
    errors
}

pub(crate) fn node(node: &CsiNode) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = CsiNodeSpec::default();
    let spec = node.spec.as_ref().unwrap_or(&empty);
    let mut unique = Unique::new();
    for (i, driver) in spec.drivers.iter().enumerate() {
        let path = Path::new("spec").child("drivers").index(i);
        node_driver(&mut errors, driver, &mut unique, &path);
    }
    errors
}

fn node_driver<'a>(errors: &mut ErrorList, driver: &'a CsiNodeDriver, unique: &mut Unique<'a>, path: &Path) {
    driver_name(errors, &driver.name, &path.child("name"));
    let id = path.child("nodeID");
    required(errors, &id, &driver.node_id);
    if driver.node_id.len() > NODE_ID_MAX {
        let detail = format!("must be {NODE_ID_MAX} characters or less");
        errors.push(Error::invalid(id, driver.node_id.as_str(), detail));
    }
    if let Some(count) = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count) {
        non_negative(errors, &path.child("allocatable").child("count"), count);
    }
    unique.check(errors, &path.child("name"), &driver.name);
    let mut keys = Unique::new();
    for key in &driver.topology_keys {
        required(errors, path, key);
        keys.check(errors, path, key);
        check(errors, path, key, names::qualified_name(key));
    }
}

/// A driver that is there stays as it is, but for how many volumes the node can hold.
pub(crate) fn node_update(new: &CsiNode, old: &CsiNode) -> ErrorList {
    let mut errors = node(new);
    let drivers = |node: &CsiNode| {
        let mut drivers = node.spec.clone().unwrap_or_default().drivers;
        drivers.iter_mut().for_each(|driver| driver.allocatable = None);
        drivers
    };
    let (new, path) = (drivers(new), Path::new("spec").child("drivers"));
    for before in drivers(old) {
        for after in new.iter().filter(|after| after.name == before.name) {
            immutable(&mut errors, &path, after, &before);
        }
    }
    errors
}

pub(crate) fn capacity(capacity: &CsiStorageCapacity) -> ErrorList {
    let mut errors = ErrorList::new();
    if let Some(nodes) = &capacity.node_topology {
        selector::validate(&mut errors, nodes, &Path::new("nodeTopology"));
    }
    let class = &capacity.storage_class_name;
    check(&mut errors, &Path::new("storageClassName"), class, names::dns1123_subdomain(class));
    for (field, amount) in
        [("capacity", &capacity.capacity), ("maximumVolumeSize", &capacity.maximum_volume_size)]
    {
        if let Some(amount) = amount {
            pod::quantity(&mut errors, amount, &Path::new(field));
        }
    }
    errors
}

pub(crate) fn capacity_update(new: &CsiStorageCapacity, old: &CsiStorageCapacity) -> ErrorList {
    let mut errors = capacity(new);
    immutable(&mut errors, &Path::new("nodeTopology"), &new.node_topology, &old.node_topology);
    immutable(&mut errors, &Path::new("storageClassName"), &new.storage_class_name, &old.storage_class_name);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn named(spec: &Value) -> Value {
        json!({ "metadata": { "name": "disks.example.com" }, "spec": spec })
    }

    fn driver_of(spec: &Value) -> CsiDriver {
        let mut driver: CsiDriver = serde_json::from_value(named(spec)).unwrap();
        crate::defaults::storage::csi_driver(&mut driver);
        driver
    }

    #[test]
    fn a_driver_says_what_it_needs() {
        assert_eq!(driver(&driver_of(&json!({}))), []);
        assert_eq!(
            texts(&driver(&serde_json::from_value(named(&Value::Null)).unwrap())),
            [
                "spec.attachedRequired: Required value",
                "spec.podInfoOnMount: Required value",
                "spec.storageCapacity: Required value",
                "spec.seLinuxMount: Required value",
            ]
        );
        let wrong = driver_of(&json!({
            "fsGroupPolicy": "All", "volumeLifecycleModes": ["Forever"], "nodeAllocatableUpdatePeriodSeconds": 9,
            "serviceAccountTokenInSecrets": true,
        }));
        assert_eq!(
            texts(&driver(&wrong)),
            [
                "spec.fsGroupPolicy: Unsupported value: \"All\": supported values: \"File\", \"None\", \
                 \"ReadWriteOnceWithFSType\"",
                "spec.volumeLifecycleModes: Unsupported value: \"Forever\": supported values: \"Ephemeral\", \
                 \"Persistent\"",
                "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 \
                 seconds",
                "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no \
                 tokenRequests are specified",
            ]
        );
    }

    #[test]
    fn a_driver_is_named_as_others_name_it() {
        let mut long = driver_of(&json!({}));
        long.metadata.get_or_insert_default().name = "d".repeat(64);
        assert_eq!(texts(&driver(&long)), ["name: Too long: may not be more than 63 bytes"]);
    }

    #[test]
    fn tokens_are_for_somebody_each() {
        let with = |requests: Value| texts(&driver(&driver_of(&json!({ "tokenRequests": requests }))));
        assert_eq!(
            with(json!([{ "audience": "" }, { "audience": "a", "expirationSeconds": 600 }])),
            Vec::<String>::new()
        );
        assert_eq!(
            with(json!([{ "expirationSeconds": 599 }, { "expirationSeconds": 1 }, {
                "audience": "a", "expirationSeconds": 4_294_967_297_i64,
            }])),
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 \
                 minutes",
                "spec.tokenRequests[1].audience: Duplicate value: \"\"",
                "spec.tokenRequests[2].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger \
                 than 2^32 seconds",
            ]
        );
    }

    #[test]
    fn how_a_driver_attaches_stays() {
        let old = driver_of(&json!({}));
        assert_eq!(driver_update(&driver_of(&json!({ "podInfoOnMount": true })), &old), []);
        let new = driver_of(&json!({ "attachRequired": false, "volumeLifecycleModes": ["Ephemeral"] }));
        assert_eq!(
            texts(&driver_update(&new, &old)),
            [
                "spec.attachedRequired: Invalid value: false: field is immutable",
                "spec.volumeLifecycleModes: Invalid value: [\"Ephemeral\"]: field is immutable",
            ]
        );
    }

    fn node_of(drivers: Value) -> CsiNode {
        serde_json::from_value(json!({ "spec": { "drivers": drivers } })).unwrap()
    }

    #[test]
    fn a_node_has_each_driver_once() {
        let good = json!([{ "name": "a.b", "nodeID": "n", "topologyKeys": ["zone"], "allocatable": { "count": 0 } }]);
        assert_eq!(node(&node_of(good)), []);
        let wrong = json!([
            { "name": "a", "nodeID": "n" },
            { "name": "a", "topologyKeys": ["k", "k"], "allocatable": { "count": -1 } },
        ]);
        assert_eq!(
            texts(&node(&node_of(wrong))),
            [
                "spec.drivers[1].nodeID: Required value",
                "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                "spec.drivers[1].name: Duplicate value: \"a\"",
                "spec.drivers[1]: Duplicate value: \"k\"",
            ]
        );
        let long = json!([{ "name": "a".repeat(64), "nodeID": "n".repeat(257) }]);
        let errors = texts(&node(&node_of(long)));
        assert_eq!(errors[0], "spec.drivers[0].name: Too long: may not be more than 63 bytes");
        assert!(errors.last().unwrap().ends_with("must be 256 characters or less"), "{errors:?}");
    }

    #[test]
    fn what_a_node_can_hold_changes_and_nothing_else() {
        let old = node_of(json!([{ "name": "a", "nodeID": "n", "allocatable": { "count": 1 } }]));
        assert_eq!(
            node_update(
                &node_of(json!([{ "name": "a", "nodeID": "n" }, { "name": "b", "nodeID": "n" }])),
                &old
            ),
            []
        );
        assert_eq!(node_update(&node_of(json!([])), &old), []);
        assert_eq!(
            texts(&node_update(&node_of(json!([{ "name": "a", "nodeID": "m" }])), &old)),
            ["spec.drivers: Invalid value: {\"name\":\"a\",\"nodeID\":\"m\"}: field is immutable"]
        );
    }

    #[test]
    fn a_capacity_is_of_a_class_somewhere() {
        let of = |object: Value| -> CsiStorageCapacity { serde_json::from_value(object).unwrap() };
        let good = of(json!({ "storageClassName": "c", "capacity": "1Gi", "nodeTopology": {} }));
        assert_eq!(capacity(&good), []);
        assert_eq!(
            texts(&capacity(&of(json!({ "storageClassName": "c", "capacity": "-1" })))),
            ["capacity: Invalid value: \"-1\": must be greater than or equal to 0"]
        );
        assert_eq!(capacity(&of(json!({}))).len(), 1);
        assert_eq!(
            texts(&capacity_update(&of(json!({ "storageClassName": "d", "capacity": "2Gi" })), &good)),
            [
                "nodeTopology: Invalid value: null: field is immutable",
                "storageClassName: Invalid value: \"d\": field is immutable",
            ]
        );
    }
}
