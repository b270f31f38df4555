//! Strategies of the group.

use crate::field::ErrorList;
use crate::flowcontrol::v1::{
    FlowSchema, FlowSchemaStatus, PriorityLevelConfiguration, PriorityLevelConfigurationStatus,
};
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, validation};

impl Strategy for FlowSchema {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::flowcontrol::SCHEMA;

    fn set_defaults(&mut self) {
        defaults::flowcontrol::schema(self);
    }

    fn prepare_for_create(&mut self) {
        self.status = Some(FlowSchemaStatus::default());
    }

    fn validate(&self) -> ErrorList {
        validation::flow::schema::schema(self)
    }

    fn validate_status_update(&self, _: &Self) -> ErrorList {
        validation::flow::schema::status(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::flowcontrol::schema(self, now)
    }
}

impl Strategy for PriorityLevelConfiguration {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::flowcontrol::LEVEL;

    fn set_defaults(&mut self) {
        defaults::flowcontrol::level(self);
    }

    fn prepare_for_create(&mut self) {
        self.status = Some(PriorityLevelConfigurationStatus::default());
    }

    fn validate(&self) -> ErrorList {
        validation::flow::level::level(self)
    }

    fn validate_status_update(&self, _: &Self) -> ErrorList {
        validation::flow::level::status(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::flowcontrol::level(self, now)
    }
}
