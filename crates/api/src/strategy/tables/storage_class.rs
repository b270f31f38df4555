//! Classes of storage, drivers, and what is attached where.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, UNSET, joined};
use crate::Resource;
use crate::storage::v1::{
    CsiDriver, CsiNode, CsiStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass,
};
use crate::strategy::age;

/// What marks the class of claims that name none.
const DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

pub(in crate::strategy) const CLASS: &[Column] = &[
    Column::NAME,
    Column::new("Provisioner", "string", "Who makes the volumes"),
    Column::new("ReclaimPolicy", "string", "What becomes of a volume when its claim is deleted"),
    Column::new("VolumeBindingMode", "string", "When a volume is made"),
    Column::new("AllowVolumeExpansion", "string", "Whether a claim may grow"),
    Column::AGE,
];

pub(in crate::strategy) fn class(class: &StorageClass, now: Timestamp) -> Vec<Value> {
    let annotations = &Resource::meta(class).annotations;
    let is_default = DEFAULT.iter().any(|key| annotations.get(*key).is_some_and(|value| value == "true"));
    vec![
        format!("{}{}", class.name(), if is_default { " (default)" } else { "" }).into(),
        class.provisioner.as_str().into(),
        class.reclaim_policy.as_deref().unwrap_or("Delete").into(),
        class.volume_binding_mode.as_deref().unwrap_or("Immediate").into(),
        class.allow_volume_expansion.unwrap_or(false).into(),
        age(Resource::meta(class), now),
    ]
}

pub(in crate::strategy) const ATTRIBUTES_CLASS: &[Column] =
    &[Column::NAME, Column::new("DriverName", "string", "The driver of the volumes"), Column::AGE];

pub(in crate::strategy) fn attributes_class(class: &VolumeAttributesClass, now: Timestamp) -> Vec<Value> {
    vec![class.name().into(), class.driver_name.as_str().into(), age(Resource::meta(class), now)]
}

pub(in crate::strategy) const ATTACHMENT: &[Column] = &[
    Column::NAME,
    Column { format: "name", ..Column::new("Attacher", "string", "The driver that attaches it") },
    Column::new("PV", "string", "The volume"),
    Column::new("Node", "string", "The node"),
    Column::new("Attached", "boolean", "Whether it is attached"),
    Column::AGE,
];

pub(in crate::strategy) fn attachment(attachment: &VolumeAttachment, now: Timestamp) -> Vec<Value> {
    let spec = attachment.spec.clone().unwrap_or_default();
    let volume = spec.source.and_then(|source| source.persistent_volume_name);
    vec![
        attachment.name().into(),
        spec.attacher.into(),
        volume.unwrap_or_default().into(),
        spec.node_name.into(),
        attachment.status.as_ref().is_some_and(|status| status.attached).into(),
        age(Resource::meta(attachment), now),
    ]
}

pub(in crate::strategy) const CSI_NODE: &[Column] =
    &[Column::NAME, Column::new("Drivers", "integer", "How many drivers it has"), Column::AGE];

pub(in crate::strategy) fn csi_node(node: &CsiNode, now: Timestamp) -> Vec<Value> {
    let drivers = node.spec.as_ref().map_or(0, |spec| spec.drivers.len());
    vec![node.name().into(), drivers.into(), age(Resource::meta(node), now)]
}

pub(in crate::strategy) const CSI_DRIVER: &[Column] = &[
    Column::NAME,
    Column::new("AttachRequired", "boolean", "Whether volumes are attached before they are mounted"),
    Column::new("PodInfoOnMount", "boolean", "Whether it is told of the pod that it mounts for"),
    Column::new("StorageCapacity", "boolean", "Whether the scheduler looks at how much it can store"),
    Column::new("TokenRequests", "string", "For whom the tokens are that it gets"),
    Column::new("RequiresRepublish", "boolean", "Whether mounts are brought up to date"),
    Column::new("Modes", "string", "How volumes come and go"),
    Column::AGE,
];

pub(in crate::strategy) fn csi_driver(driver: &CsiDriver, now: Timestamp) -> Vec<Value> {
    let spec = driver.spec.clone().unwrap_or_default();
    let audiences: Vec<&str> = spec.token_requests.iter().map(|request| request.audience.as_str()).collect();
    vec![
        driver.name().into(),
        spec.attach_required.unwrap_or(true).into(),
        spec.pod_info_on_mount.unwrap_or(false).into(),
        spec.storage_capacity.unwrap_or(false).into(),
        if audiences.is_empty() { UNSET.into() } else { audiences.join(",").into() },
        spec.requires_republish.unwrap_or(false).into(),
        joined(&spec.volume_lifecycle_modes),
        age(Resource::meta(driver), now),
    ]
}

pub(in crate::strategy) const CAPACITY: &[Column] = &[
    Column::NAME,
    Column::new("StorageClassName", "string", "For volumes of which class"),
    Column::new("Capacity", "string", "How much there is"),
];

pub(in crate::strategy) fn capacity(capacity: &CsiStorageCapacity) -> Vec<Value> {
    let amount = capacity.capacity.as_ref().map(ToString::to_string);
    vec![
        capacity.name().into(),
        capacity.storage_class_name.as_str().into(),
        amount.as_deref().unwrap_or(UNSET).into(),
    ]
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    fn of<T: DeserializeOwned>(object: Value) -> T {
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn classes_show_who_makes_volumes_and_how() {
        let now = Timestamp::UNIX_EPOCH;
        let annotations = json!({"storageclass.kubernetes.io/is-default-class": "true"});
        let object = of(json!({"metadata": {"name": "a", "annotations": annotations}, "provisioner": "p"}));
        let shown = json!(["a (default)", "p", "Delete", "Immediate", false, "<unknown>"]);
        assert_eq!(json!(class(&object, now)), shown);
        let object = of(json!({"metadata": {"name": "a"}, "driverName": "d"}));
        assert_eq!(json!(attributes_class(&object, now)), json!(["a", "d", "<unknown>"]));
    }

    #[test]
    fn drivers_show_what_they_need() {
        let now = Timestamp::UNIX_EPOCH;
        let object = of(json!({"metadata": {"name": "a"}}));
        let shown = json!(["a", true, false, false, "<unset>", false, "<none>", "<unknown>"]);
        assert_eq!(json!(csi_driver(&object, now)), shown);
        let spec = json!({"tokenRequests": [{"audience": "a"}, {"audience": "b"}], "volumeLifecycleModes": ["M", "N"]});
        let cells = csi_driver(&of(json!({"spec": spec})), now);
        assert_eq!((&cells[4], &cells[6]), (&json!("a,b"), &json!("M,N")));
        let object = of(json!({"metadata": {"name": "n"}, "spec": {"drivers": [{}, {}]}}));
        assert_eq!(json!(csi_node(&object, now)), json!(["n", 2, "<unknown>"]));
        let object = of(json!({"metadata": {"name": "c"}, "storageClassName": "s"}));
        assert_eq!(json!(capacity(&object)), json!(["c", "s", "<unset>"]));
    }

    #[test]
    fn an_attachment_shows_what_is_where() {
        let spec = json!({"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "v"}});
        let object = of(json!({"metadata": {"name": "a"}, "spec": spec, "status": {"attached": true}}));
        let cells = attachment(&object, Timestamp::UNIX_EPOCH);
        assert_eq!(json!(cells), json!(["a", "d", "v", "n", true, "<unknown>"]));
    }
}
