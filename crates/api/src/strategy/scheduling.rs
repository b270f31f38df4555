//! Strategies of the group.

use crate::Resource;
use crate::field::ErrorList;
use crate::scheduling::v1::PriorityClass;
use crate::strategy::{Column, Strategy, tables};
use crate::validation;

impl Strategy for PriorityClass {
    const COLUMNS: &'static [Column] = tables::scheduling::PRIORITY_CLASS;

    fn set_defaults(&mut self) {
        self.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".to_owned());
    }

    /// It has a generation, though no change counts.
    fn prepare_for_create(&mut self) {
        Resource::meta_mut(self).generation = 1;
    }

    fn validate(&self) -> ErrorList {
        validation::priority::class(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::priority::update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::scheduling::priority_class(self, now)
    }
}
