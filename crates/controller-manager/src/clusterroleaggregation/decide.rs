//! The rules of a sum.

use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::rbac::v1::{ClusterRole, PolicyRule};
use gantry_api::selector::LabelSelector;

use crate::Error;

/// The rules that the role must have, if it is a sum and has others now: those of the roles that each of its selectors
/// finds, by name, each rule once.
pub fn reconcile(role: &ClusterRole, all: &[Arc<ClusterRole>]) -> Result<Option<Vec<PolicyRule>>, Error> {
    let Some(sum) = &role.aggregation_rule else { return Ok(None) };
    let mut others: Vec<&ClusterRole> = all.iter().map(|other| &**other).collect();
    others.retain(|other| other.name() != role.name());
    others.sort_by(|a, b| a.name().cmp(b.name()));
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in &sum.cluster_role_selectors {
        let selector = LabelSelector::from_meta(Some(selector))?;
        let found = others.iter().filter(|other| selector.matches(&other.meta().labels));
        for rule in found.flat_map(|other| &other.rules) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Ok((rules != role.rules).then_some(rules))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn role(name: &str, labels: Value, verbs: &[&str], sum: Value) -> Arc<ClusterRole> {
        let rules: Vec<Value> = verbs
            .iter()
            .map(|verb| json!({"verbs": [verb], "apiGroups": [""], "resources": ["pods"]}))
            .collect();
        let role =
            json!({"metadata": {"name": name, "labels": labels}, "rules": rules, "aggregationRule": sum});
        Arc::new(serde_json::from_value(role).unwrap())
    }

    fn verbs(rules: Option<Vec<PolicyRule>>) -> Vec<String> {
        rules.unwrap().into_iter().flat_map(|rule| rule.verbs).collect()
    }

    #[test]
    fn a_sum_has_the_rules_of_what_its_selectors_find() {
        let selectors =
            json!({"clusterRoleSelectors": [{"matchLabels": {"a": "1"}}, {"matchLabels": {"b": "1"}}]});
        let all = [
            role("sum", json!({"a": "1"}), &["delete"], selectors),
            role("z", json!({"a": "1"}), &["list", "get"], Value::Null),
            role("b", json!({"a": "1", "b": "1"}), &["get"], Value::Null),
            role("c", json!({"b": "1"}), &["watch"], Value::Null),
            role("d", json!({"c": "1"}), &["patch"], Value::Null),
        ];
        assert_eq!(verbs(reconcile(&all[0], &all).unwrap()), ["get", "list", "watch"]);
        assert_eq!(reconcile(&all[1], &all).unwrap(), None);
    }

    #[test]
    fn a_sum_that_is_right_is_left_alone_and_one_of_nothing_is_empty() {
        let selectors = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "1"}}]});
        let sum = role("sum", json!({}), &["get"], selectors);
        let part = role("part", json!({"a": "1"}), &["get"], Value::Null);
        assert_eq!(reconcile(&sum, &[sum.clone(), part]).unwrap(), None);
        assert_eq!(reconcile(&sum, std::slice::from_ref(&sum)).unwrap(), Some(vec![]));
    }
}
