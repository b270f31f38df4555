//! Strategies of the group.

use crate::apiextensions::v1::CustomResourceDefinition;
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, prepare, validation};

impl Strategy for CustomResourceDefinition {
    const GENERATION: bool = true;
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::rbac::ROLE;

    fn set_defaults(&mut self) {
        defaults::apiextensions::definition(self);
    }

    fn prepare_for_create(&mut self) {
        prepare::definition::create(self);
    }

    fn prepare_for_update(&mut self, old: &Self) {
        prepare::definition::update(self, old);
    }

    fn validate(&self) -> ErrorList {
        validation::definition::create(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::definition::update(self, old)
    }

    fn validate_status_update(&self, _: &Self) -> ErrorList {
        validation::definition::status(self)
    }

    fn cells(&self, _: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::rbac::role(self)
    }
}
