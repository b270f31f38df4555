//! Strategies of the group.

use crate::field::ErrorList;
use crate::storage::v1::{
    CsiDriver, CsiNode, CsiStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass,
};
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, validation};

impl Strategy for CsiDriver {
    const GENERATION: bool = true;
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::storage_class::CSI_DRIVER;

    fn set_defaults(&mut self) {
        defaults::storage::csi_driver(self);
    }

    fn validate(&self) -> ErrorList {
        validation::csi::driver(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::csi::driver_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::storage_class::csi_driver(self, now)
    }
}

impl Strategy for CsiNode {
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::storage_class::CSI_NODE;

    fn validate(&self) -> ErrorList {
        validation::csi::node(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::csi::node_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::storage_class::csi_node(self, now)
    }
}

impl Strategy for CsiStorageCapacity {
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::storage_class::CAPACITY;

    fn validate(&self) -> ErrorList {
        validation::csi::capacity(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::csi::capacity_update(self, old)
    }

    fn cells(&self, _: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::storage_class::capacity(self)
    }
}

impl Strategy for StorageClass {
    const COLUMNS: &'static [Column] = tables::storage_class::CLASS;

    fn set_defaults(&mut self) {
        defaults::storage::class(self);
    }

    fn validate(&self) -> ErrorList {
        validation::storage_class::class(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::storage_class::update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::storage_class::class(self, now)
    }
}

impl Strategy for VolumeAttachment {
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::storage_class::ATTACHMENT;

    fn set_defaults(&mut self) {
        defaults::storage::attachment(self);
    }

    fn prepare_for_create(&mut self) {
        self.status = None;
        defaults::storage::attachment(self);
    }

    fn validate(&self) -> ErrorList {
        validation::volume_attachment::attachment(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::volume_attachment::update(self, old)
    }

    fn validate_status_update(&self, old: &Self) -> ErrorList {
        validation::volume_attachment::update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::storage_class::attachment(self, now)
    }
}

impl Strategy for VolumeAttributesClass {
    const COLUMNS: &'static [Column] = tables::storage_class::ATTRIBUTES_CLASS;

    fn validate(&self) -> ErrorList {
        validation::storage_class::attributes(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::storage_class::attributes_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::storage_class::attributes_class(self, now)
    }
}
