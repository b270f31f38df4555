//! Strategies of the group.

use crate::field::ErrorList;
use crate::node::v1::RuntimeClass;
use crate::strategy::{Column, Strategy, tables};
use crate::validation;

impl Strategy for RuntimeClass {
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::scheduling::RUNTIME_CLASS;

    fn validate(&self) -> ErrorList {
        validation::runtime_class::class(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::runtime_class::update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::scheduling::runtime_class(self, now)
    }
}
