//! Disruption budgets.

use jiff::Timestamp;
use serde_json::Value;

use super::Column;
use crate::Resource;
use crate::policy::v1::PodDisruptionBudget;
use crate::scalars::IntOrString;
use crate::strategy::age;

pub(in crate::strategy) const BUDGET: &[Column] = &[
    Column::NAME,
    Column::new("Min Available", "string", "Pods that must be left"),
    Column::new("Max Unavailable", "string", "Pods that may be missing"),
    Column::new("Allowed Disruptions", "integer", "Pods that may be evicted now"),
    Column::AGE,
];

pub(in crate::strategy) fn budget(budget: &PodDisruptionBudget, now: Timestamp) -> Vec<Value> {
    let spec = budget.spec.clone().unwrap_or_default();
    let bound =
        |bound: Option<IntOrString>| bound.map_or_else(|| "N/A".to_owned(), |bound| bound.to_string());
    vec![
        budget.name().into(),
        bound(spec.min_available).into(),
        bound(spec.max_unavailable).into(),
        budget.status.as_ref().map_or(0, |status| status.disruptions_allowed).into(),
        age(Resource::meta(budget), now),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bound_that_is_not_there_says_so() {
        let object: PodDisruptionBudget = serde_json::from_value(json!({
            "metadata": {"name": "a"}, "spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2},
        }))
        .unwrap();
        let cells = budget(&object, Timestamp::UNIX_EPOCH);
        assert_eq!(json!(cells), json!(["a", "50%", "N/A", 2, "<unknown>"]));
        assert_eq!(cells.len(), BUDGET.len());
    }
}
