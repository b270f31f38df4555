//! Strategies of the group.

use crate::field::ErrorList;
use crate::resource::v1::{
    DeviceClass, ResourceClaim, ResourceClaimStatus, ResourceClaimTemplate, ResourceSlice,
};
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, validation};

impl Strategy for DeviceClass {
    const GENERATION: bool = true;
    fn validate(&self) -> ErrorList {
        validation::device::claim::class(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::device::claim::class_update(self, old)
    }
}

impl Strategy for ResourceClaim {
    const COLUMNS: &'static [Column] = tables::resource::CLAIM;

    fn set_defaults(&mut self) {
        defaults::resource::claim(self);
    }

    fn prepare_for_create(&mut self) {
        self.status = Some(ResourceClaimStatus::default());
    }

    fn validate(&self) -> ErrorList {
        validation::device::claim::claim(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::device::claim::claim_update(self, old)
    }

    fn validate_status_update(&self, old: &Self) -> ErrorList {
        validation::device::status::update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::resource::claim(self, now)
    }
}

impl Strategy for ResourceClaimTemplate {
    fn set_defaults(&mut self) {
        defaults::resource::template(self);
    }

    fn validate(&self) -> ErrorList {
        validation::device::claim::template(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::device::claim::template_update(self, old)
    }
}

impl Strategy for ResourceSlice {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::resource::SLICE;

    fn validate(&self) -> ErrorList {
        validation::device::slice::slice(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::device::slice::update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        let spec = self.spec.clone().unwrap_or_default();
        vec![("spec.nodeName", spec.node_name.unwrap_or_default()), ("spec.driver", spec.driver)]
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::resource::slice(self, now)
    }
}
