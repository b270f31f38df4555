//! Strategies of the group.

use crate::coordination::v1::Lease;
use crate::field::ErrorList;
use crate::strategy::Strategy;
use crate::validation;

impl Strategy for Lease {
    fn validate(&self) -> ErrorList {
        validation::lease::lease(self)
    }
}
