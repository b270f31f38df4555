//! Strategies of the group.

use crate::coordination::v1::Lease;
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::validation;

impl Strategy for Lease {
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::config::LEASE;
    const CREATED_BY_UPDATE: bool = true;

    fn validate(&self) -> ErrorList {
        validation::lease::lease(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::config::lease(self, now)
    }
}
