//! Strategies of the group.

use crate::field::ErrorList;
use crate::policy::v1::PodDisruptionBudget;
use crate::strategy::{Column, Strategy, tables};
use crate::validation;

impl Strategy for PodDisruptionBudget {
    const UNCONDITIONAL_UPDATE: bool = false;
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::policy::BUDGET;

    fn validate(&self) -> ErrorList {
        validation::disruption::budget(self)
    }

    fn validate_status_update(&self, _: &Self) -> ErrorList {
        validation::disruption::status_update(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::policy::budget(self, now)
    }
}
