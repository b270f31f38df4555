//! Strategies of the group. The rules are those of version 2, which all versions are written as.

use crate::autoscaling::{v1, v2};
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, validation};

impl Strategy for v2::HorizontalPodAutoscaler {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::autoscaling::AUTOSCALER;

    fn set_defaults(&mut self) {
        defaults::autoscaling::autoscaler(self);
    }

    fn prepare_for_create(&mut self) {
        self.status = Some(v2::HorizontalPodAutoscalerStatus::default());
    }

    fn validate(&self) -> ErrorList {
        validation::autoscaler::autoscaler(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::autoscaler::update(self, old)
    }

    fn validate_status_update(&self, _: &Self) -> ErrorList {
        validation::autoscaler::status_update(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::autoscaling::autoscaler(self, now)
    }
}

impl Strategy for v1::HorizontalPodAutoscaler {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::autoscaling::AUTOSCALER;

    fn set_defaults(&mut self) {
        defaults::autoscaling::autoscaler_v1(self);
    }

    /// Not asked of what is written, which is of version 2 by then: see [`crate::convert::ruling_kind`].
    fn validate(&self) -> ErrorList {
        Strategy::validate(&v2::HorizontalPodAutoscaler::from(self.clone()))
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::autoscaling::autoscaler(&self.clone().into(), now)
    }
}
