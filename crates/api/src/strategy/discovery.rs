//! Strategies of the group.

use crate::discovery::v1::EndpointSlice;
use crate::field::ErrorList;
use crate::strategy::Strategy;
use crate::{defaults, validation};

impl Strategy for EndpointSlice {
    fn set_defaults(&mut self) {
        defaults::service::endpoint_slice(self);
    }

    fn validate(&self) -> ErrorList {
        validation::endpoints::slice(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::endpoints::slice_update(self, old)
    }
}
