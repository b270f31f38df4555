//! Claims of devices, and devices.

use jiff::Timestamp;
use serde_json::Value;

use super::Column;
use crate::Resource as _;
use crate::resource::v1::{ResourceClaim, ResourceSlice};
use crate::strategy::age;

pub(in crate::strategy) const CLAIM: &[Column] =
    &[Column::NAME, Column::new("State", "string", "What became of the claim"), Column::AGE];

pub(in crate::strategy) fn claim(claim: &ResourceClaim, now: Timestamp) -> Vec<Value> {
    let status = claim.status.clone().unwrap_or_default();
    let going = claim.meta().deletion_timestamp.is_some();
    let states = [
        (going, "deleted"),
        (status.allocation.is_none() && !going, "pending"),
        (status.allocation.is_some(), "allocated"),
        (status.allocation.is_some() && !status.reserved_for.is_empty(), "reserved"),
    ];
    let states: Vec<&str> = states.iter().filter(|(holds, _)| *holds).map(|(_, state)| *state).collect();
    vec![claim.name().into(), states.join(",").into(), age(claim.meta(), now)]
}

pub(in crate::strategy) const SLICE: &[Column] = &[
    Column::NAME,
    Column::new("Node", "string", "The node where the devices can be used"),
    Column::new("Driver", "string", "The driver that offers the devices"),
    Column::new("Pool", "string", "The pool of the devices"),
    Column::AGE,
];

pub(in crate::strategy) fn slice(slice: &ResourceSlice, now: Timestamp) -> Vec<Value> {
    let spec = slice.spec.clone().unwrap_or_default();
    vec![
        slice.name().into(),
        spec.node_name.unwrap_or_default().into(),
        spec.driver.into(),
        spec.pool.unwrap_or_default().name.into(),
        age(slice.meta(), now),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_shows_what_became_of_it() {
        let state =
            |object: Value| claim(&serde_json::from_value(object).unwrap(), Timestamp::UNIX_EPOCH)[1].clone();
        assert_eq!(state(json!({})), "pending");
        let consumer = json!({ "resource": "pods", "name": "p", "uid": "1" });
        let status = json!({ "allocation": {}, "reservedFor": [consumer] });
        assert_eq!(state(json!({ "status": status })), "allocated,reserved");
        let going = json!({ "deletionTimestamp": "2026-01-02T03:04:05Z" });
        assert_eq!(state(json!({ "metadata": going })), "deleted");
        assert_eq!(state(json!({ "metadata": going, "status": status })), "deleted,allocated,reserved");
    }

    #[test]
    fn a_slice_shows_where_it_is() {
        let spec = json!({ "driver": "d", "pool": { "name": "p" }, "nodeName": "n" });
        let object = serde_json::from_value(json!({ "metadata": { "name": "s" }, "spec": spec })).unwrap();
        let cells = slice(&object, Timestamp::UNIX_EPOCH);
        assert_eq!(cells, ["s", "n", "d", "p", "<unknown>"]);
        assert_eq!(cells.len(), SLICE.len());
    }
}
