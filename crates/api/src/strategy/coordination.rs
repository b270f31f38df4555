//! Strategies of the group.

use crate::coordination::v1::Lease;
use crate::field::ErrorList;
use crate::strategy::Strategy;

impl Strategy for Lease {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}
