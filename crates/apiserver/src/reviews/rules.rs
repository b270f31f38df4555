//! What somebody may do, for display.

use gantry_api::authorization::v1::{NonResourceRule, ResourceRule, SubjectRulesReviewStatus};
use gantry_api::rbac::v1::PolicyRule;

use crate::authorization::rbac::Missing;
use crate::pipeline::User;

/// The rules of a user.
pub(super) fn status(user: &User, rules: &[PolicyRule], missing: &[Missing]) -> SubjectRulesReviewStatus {
    let mut status = SubjectRulesReviewStatus::default();
    for rule in rules {
        if !rule.resources.is_empty() {
            status.resource_rules.push(ResourceRule {
                verbs: rule.verbs.clone(),
                api_groups: rule.api_groups.clone(),
                resources: rule.resources.clone(),
                resource_names: rule.resource_names.clone(),
            });
        }
        if !rule.non_resource_urls.is_empty() {
            status.non_resource_rules.push(NonResourceRule {
                verbs: rule.verbs.clone(),
                non_resource_urls: rule.non_resource_urls.clone(),
            });
        }
    }
    let mut errors: Vec<String> = missing.iter().map(ToString::to_string).collect();
    if user.node().is_some() {
        // What a node may do is not in rules.
        errors.insert(0, "node authorizer does not support user rule resolution".to_owned());
        status.incomplete = true;
    }
    status.evaluation_error = match errors.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    status
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_are_listed_by_what_they_are_about() {
        let rules: Vec<PolicyRule> = serde_json::from_value(json!([
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
            {"verbs": ["get"], "nonResourceURLs": ["/x"]},
        ]))
        .unwrap();
        let status = status(&User::authenticated("jane", []), &rules, &[]);
        assert_eq!(
            serde_json::to_value(status).unwrap(),
            json!({
                "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}],
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}],
                "incomplete": false,
            })
        );
    }

    #[test]
    fn what_is_not_in_rules_makes_them_incomplete() {
        let missing = [Missing { kind: "Role".into(), name: "x".into() }];
        let node = User::authenticated("system:node:n1", ["system:nodes"]);
        let status = status(&node, &[], &missing);
        assert!(status.incomplete);
        assert_eq!(
            status.evaluation_error,
            "[node authorizer does not support user rule resolution, role.rbac.authorization.k8s.io \"x\" not found]"
        );
    }
}
