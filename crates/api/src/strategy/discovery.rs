//! Strategies of the group.

use crate::discovery::v1::EndpointSlice;
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, validation};

impl Strategy for EndpointSlice {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::service::SLICE;

    fn set_defaults(&mut self) {
        defaults::service::endpoint_slice(self);
    }

    fn validate(&self) -> ErrorList {
        validation::endpoints::slice(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::endpoints::slice_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::service::slice(self, now)
    }
}
