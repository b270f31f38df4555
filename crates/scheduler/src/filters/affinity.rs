use std::collections::BTreeMap;

use gantry_api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

use super::{Candidate, Rejection};
use crate::snapshot::NodeInfo;

/// A pod that names its node runs on no other.
pub(super) fn node_name(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<Rejection> {
    let wanted = crate::snapshot::node_of(candidate.pod);
    if wanted.is_empty() || wanted == node.name {
        return Vec::new();
    }
    vec![Rejection::new(
        "node(s) didn't match the requested node name",
        format!("the pod asks for node {wanted}"),
    )]
}

/// `spec.nodeSelector` and the required node affinity.
pub(super) fn node_selector(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<Rejection> {
    const REASON: &str = "node(s) didn't match Pod's node affinity/selector";
    let Some(spec) = &candidate.pod.spec else { return Vec::new() };
    for (key, value) in &spec.node_selector {
        let actual = node.labels.get(key);
        if actual != Some(value) {
            let actual = actual.map_or("unset".to_owned(), |actual| format!("{actual:?}"));
            return vec![Rejection::new(
                REASON,
                format!("label {key} is {actual}, nodeSelector asks for {value:?}"),
            )];
        }
    }
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    match required {
        Some(selector) if !selector.node_selector_terms.iter().any(|term| matches_term(term, node)) => {
            vec![Rejection::new(REASON, "no term of the required node affinity matches the node's labels")]
        }
        _ => Vec::new(),
    }
}

/// Whether every requirement of a term holds. An empty term matches nothing.
pub(crate) fn matches_term(term: &NodeSelectorTerm, node: &NodeInfo) -> bool {
    if term.match_expressions.is_empty() && term.match_fields.is_empty() {
        return false;
    }
    let fields = BTreeMap::from([("metadata.name".to_owned(), node.name.clone())]);
    term.match_expressions.iter().all(|requirement| holds(requirement, &node.labels))
        && term.match_fields.iter().all(|requirement| holds(requirement, &fields))
}

fn holds(requirement: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let actual = labels.get(&requirement.key);
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<i64>().ok());
    let compared = |with: fn(&i64, &i64) -> bool| match (number(actual), number(requirement.values.first())) {
        (Some(actual), Some(wanted)) => with(&actual, &wanted),
        _ => false,
    };
    match requirement.operator.as_str() {
        "In" => actual.is_some_and(|actual| requirement.values.contains(actual)),
        "NotIn" => actual.is_none_or(|actual| !requirement.values.contains(actual)),
        "Exists" => actual.is_some(),
        "DoesNotExist" => actual.is_none(),
        "Gt" => compared(i64::gt),
        "Lt" => compared(i64::lt),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::NodeSelectorTerm;

    use super::matches_term;
    use crate::snapshot::Snapshot;
    use crate::testing::node;

    #[test]
    fn every_operator_is_known() {
        let mut object = node("a", "1", "1Gi");
        object.metadata.as_mut().unwrap().labels =
            [("zone".into(), "z1".into()), ("rank".into(), "7".into())].into();
        let snapshot = Snapshot::new([&object], []);
        let node = snapshot.node("a").unwrap();
        for (key, operator, values, expected) in [
            ("zone", "In", vec!["z1", "z2"], true),
            ("zone", "NotIn", vec!["z1"], false),
            ("absent", "NotIn", vec!["z1"], true),
            ("zone", "Exists", vec![], true),
            ("absent", "DoesNotExist", vec![], true),
            ("rank", "Gt", vec!["6"], true),
            ("rank", "Lt", vec!["6"], false),
            ("zone", "Gt", vec!["6"], false),
        ] {
            let term: NodeSelectorTerm = serde_json::from_value(serde_json::json!({
                "matchExpressions": [{"key": key, "operator": operator, "values": values}]
            }))
            .unwrap();
            assert_eq!(matches_term(&term, node), expected, "{key} {operator}");
        }
        assert!(!matches_term(&NodeSelectorTerm::default(), node));
    }
}
