//! Leases.

use super::common::{non_negative, positive};
use crate::coordination::v1::Lease;
use crate::field::{Error, ErrorList, Path};

pub(crate) fn lease(lease: &Lease) -> ErrorList {
    let mut errors = ErrorList::new();
    let Some(spec) = &lease.spec else { return errors };
    let path = Path::new("spec");
    if let Some(seconds) = spec.lease_duration_seconds {
        positive(&mut errors, &path.child("leaseDurationSeconds"), seconds);
    }
    if let Some(transitions) = spec.lease_transitions {
        non_negative(&mut errors, &path.child("leaseTransitions"), transitions);
    }
    if spec.preferred_holder.as_ref().is_some_and(|holder| !holder.is_empty())
        && spec.strategy.as_ref().is_none_or(String::is_empty)
    {
        let detail = "may only be specified when `strategy` is defined";
        errors.push(Error::forbidden(path.child("preferredHolder"), detail));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validation::common::texts;

    #[test]
    fn a_lease_lasts_some_time() {
        let of = |spec| -> Lease { serde_json::from_value(json!({ "spec": spec })).unwrap() };
        assert_eq!(lease(&of(json!({ "leaseDurationSeconds": 40 }))), []);
        assert_eq!(
            texts(&lease(&of(json!({ "leaseDurationSeconds": 0, "leaseTransitions": -1 })))),
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
    }
}
