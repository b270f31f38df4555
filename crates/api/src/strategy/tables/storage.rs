//! Volumes and claims.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, UNSET, access_modes, amount};
use crate::Resource;
use crate::core::v1::{PersistentVolume, PersistentVolumeClaim};
use crate::strategy::age;

const CAPACITY: Column = Column::new("Capacity", "string", "How much it holds");
const ACCESS_MODES: Column = Column::new("Access Modes", "string", "How it can be mounted");
const CLASS: Column = Column::new("StorageClass", "string", "The class that it belongs to");
const ATTRIBUTES: Column =
    Column::new("VolumeAttributesClass", "string", "The class of its changeable attributes");
const MODE: Column = Column::wide("VolumeMode", "string", "Whether it is a file system or a block device");

pub(in crate::strategy) const VOLUME: &[Column] = &[
    Column::NAME,
    CAPACITY,
    ACCESS_MODES,
    Column::new("Reclaim Policy", "string", "What becomes of it when its claim is deleted"),
    Column::new("Status", "string", "Its phase"),
    Column::new("Claim", "string", "The claim that it is bound to"),
    CLASS,
    ATTRIBUTES,
    Column::new("Reason", "string", "Why it is in its phase"),
    Column::AGE,
    MODE,
];

pub(in crate::strategy) fn volume(volume: &PersistentVolume, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (volume.spec.clone().unwrap_or_default(), volume.status.clone().unwrap_or_default());
    let claim = spec.claim_ref.map(|claim| format!("{}/{}", claim.namespace, claim.name)).unwrap_or_default();
    vec![
        volume.name().into(),
        amount(&spec.capacity, "storage").into(),
        access_modes(&spec.access_modes).into(),
        spec.persistent_volume_reclaim_policy.into(),
        phase(Resource::meta(volume).deletion_timestamp.is_some(), &status.phase).into(),
        claim.into(),
        spec.storage_class_name.into(),
        or_unset(spec.volume_attributes_class_name.as_deref()),
        status.reason.into(),
        age(Resource::meta(volume), now),
        or_unset(spec.volume_mode.as_deref()),
    ]
}

pub(in crate::strategy) const CLAIM: &[Column] = &[
    Column::NAME,
    Column::new("Status", "string", "Its phase"),
    Column::new("Volume", "string", "The volume that it is bound to"),
    CAPACITY,
    ACCESS_MODES,
    CLASS,
    ATTRIBUTES,
    Column::AGE,
    MODE,
];

pub(in crate::strategy) fn claim(claim: &PersistentVolumeClaim, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (claim.spec.clone().unwrap_or_default(), claim.status.clone().unwrap_or_default());
    let bound = !spec.volume_name.is_empty();
    vec![
        claim.name().into(),
        phase(Resource::meta(claim).deletion_timestamp.is_some(), &status.phase).into(),
        spec.volume_name.into(),
        if bound { amount(&status.capacity, "storage") } else { String::new() }.into(),
        if bound { access_modes(&status.access_modes) } else { String::new() }.into(),
        spec.storage_class_name.unwrap_or_default().into(),
        or_unset(spec.volume_attributes_class_name.as_deref()),
        age(Resource::meta(claim), now),
        or_unset(spec.volume_mode.as_deref()),
    ]
}

fn phase(deleting: bool, phase: &str) -> &str {
    if deleting { "Terminating" } else { phase }
}

fn or_unset(text: Option<&str>) -> Value {
    text.filter(|text| !text.is_empty()).unwrap_or(UNSET).into()
}
