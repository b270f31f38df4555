//! Strategies of the group.

use crate::discovery::v1::EndpointSlice;
use crate::field::ErrorList;
use crate::strategy::Strategy;

impl Strategy for EndpointSlice {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}
