//! Which operations on which resources a webhook or a policy is about.

use super::super::common::{Unique, check, enumerated, shown};
use super::super::{names, selector};
use crate::admissionregistration::v1::{MatchResources, NamedRuleWithOperations, Rule, RuleWithOperations};
use crate::field::{Error, ErrorList, Path};
use crate::meta::v1::LabelSelector;

fn wildcard(values: &[String]) -> bool {
    values.iter().any(|value| value == "*")
}

/// `*` stands alone.
fn alone(errors: &mut ErrorList, values: &[String], others: &str, path: &Path) {
    if values.is_empty() {
        errors.push(Error::required(path.clone(), ""));
    }
    if values.len() > 1 && wildcard(values) {
        let detail = format!("if '*' is present, must not specify other {others}");
        errors.push(Error::invalid(path.clone(), shown(values), detail));
    }
}

pub(super) fn operations(errors: &mut ErrorList, rule: &RuleWithOperations, path: &Path) {
    let of_operations = path.child("operations");
    alone(errors, &rule.operations, "operations", &of_operations);
    for (i, operation) in rule.operations.iter().enumerate() {
        let field = "admissionregistration.v1.RuleWithOperations.operations";
        enumerated(errors, &of_operations.index(i), operation, field);
    }
    let empty = Rule::default();
    resources_of(errors, rule.rule.as_ref().unwrap_or(&empty), path);
}

fn resources_of(errors: &mut ErrorList, rule: &Rule, path: &Path) {
    alone(errors, &rule.api_groups, "API groups", &path.child("apiGroups"));
    let versions = path.child("apiVersions");
    alone(errors, &rule.api_versions, "API versions", &versions);
    for (i, _) in rule.api_versions.iter().enumerate().filter(|(_, version)| version.is_empty()) {
        errors.push(Error::required(versions.index(i), ""));
    }
    resources(errors, &rule.resources, &path.child("resources"));
    if let Some(scope) = &rule.scope {
        enumerated(errors, &path.child("scope"), scope, "admissionregistration.v1.Rule.scope");
    }
}

/// Resources and subresources; what a wildcard covers must not be there besides.
fn resources(errors: &mut ErrorList, resources: &[String], path: &Path) {
    if resources.is_empty() {
        errors.push(Error::required(path.clone(), ""));
    }
    let (mut all_below, mut below_all) = (Vec::new(), Vec::new());
    // Upstream looks at the last one that has no slash.
    let mut last_is_plain = false;
    for (i, resource) in resources.iter().enumerate() {
        let path = path.index(i);
        if resource.is_empty() {
            errors.push(Error::required(path, ""));
            continue;
        }
        let Some((name, below)) = resource.split_once('/') else {
            last_is_plain = resource != "*";
            continue;
        };
        let mut covered = |pattern: String| {
            let detail = format!("if '{pattern}' is present, must not specify {resource}");
            errors.push(Error::invalid(path.clone(), resource.as_str(), detail));
        };
        if all_below.contains(&name) {
            covered(format!("{name}/*"));
        }
        if below_all.contains(&below) {
            covered(format!("*/{below}"));
        }
        if below == "*" {
            all_below.push(name);
        }
        if name == "*" {
            below_all.push(below);
        }
    }
    if resources.len() > 1 && resources.iter().any(|resource| resource == "*/*") {
        let detail = "if '*/*' is present, must not specify other resources";
        errors.push(Error::invalid(path.clone(), shown(resources), detail));
    }
    if wildcard(resources) && last_is_plain {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.push(Error::invalid(path.clone(), shown(resources), detail));
    }
}

/// The requests that a policy or a binding is about.
pub(super) fn match_resources(errors: &mut ErrorList, resources: &MatchResources, path: &Path) {
    match &resources.match_policy {
        None => errors.push(Error::required(path.child("matchPolicy"), "")),
        Some(policy) => {
            let field = "admissionregistration.v1.MatchResources.matchPolicy";
            enumerated(errors, &path.child("matchPolicy"), policy, field);
        }
    }
    required_selector(errors, resources.namespace_selector.as_ref(), &path.child("namespaceSelector"));
    required_selector(errors, resources.object_selector.as_ref(), &path.child("objectSelector"));
    for (field, rules) in [
        ("resourceRules", &resources.resource_rules),
        ("excludeResourceRules", &resources.exclude_resource_rules),
    ] {
        for (i, rule) in rules.iter().enumerate() {
            named(errors, rule, &path.child(field).index(i));
        }
    }
}

fn required_selector(errors: &mut ErrorList, selector: Option<&LabelSelector>, path: &Path) {
    match selector {
        None => errors.push(Error::required(path.clone(), "")),
        Some(selector) => selector::validate(errors, selector, path),
    }
}

fn named(errors: &mut ErrorList, rule: &NamedRuleWithOperations, path: &Path) {
    let mut unique = Unique::new();
    for (i, name) in rule.resource_names.iter().enumerate() {
        let path = path.child("resourceNames").index(i);
        check(errors, &path, name, names::path_segment(name));
        unique.check(errors, &path, name);
    }
    let empty = RuleWithOperations::default();
    operations(errors, rule.rule_with_operations.as_ref().unwrap_or(&empty), path);
}

/// What a policy that changes objects can be about: nothing is left to change of what is deleted.
pub(super) fn mutable(errors: &mut ErrorList, rules: &[NamedRuleWithOperations], path: &Path) {
    let operations =
        rules.iter().flat_map(|rule| &rule.rule_with_operations).flat_map(|rule| &rule.operations);
    for operation in operations {
        super::super::common::one_of(errors, path, operation, &["*", "CONNECT", "CREATE", "UPDATE"]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(rule: Value) -> Vec<String> {
        let mut errors = ErrorList::new();
        operations(&mut errors, &serde_json::from_value(rule).unwrap(), &Path::new("r"));
        texts(&errors)
    }

    fn of_resources(names: &[&str]) -> Vec<String> {
        of(json!({ "operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": names }))
    }

    #[test]
    fn every_part_of_a_rule_is_there() {
        assert_eq!(
            of(json!({})),
            [
                "r.operations: Required value",
                "r.apiGroups: Required value",
                "r.apiVersions: Required value",
                "r.resources: Required value"
            ]
        );
        let rule = json!({
            "operations": ["CREATE", "*"], "apiGroups": ["", "*"], "apiVersions": ["v1", "*", ""], "resources": [""],
            "scope": "Here",
        });
        assert_eq!(
            of(rule),
            [
                "r.operations: Invalid value: [\"CREATE\",\"*\"]: if '*' is present, must not specify other operations",
                "r.apiGroups: Invalid value: [\"\",\"*\"]: if '*' is present, must not specify other API groups",
                "r.apiVersions: Invalid value: [\"v1\",\"*\",\"\"]: if '*' is present, must not specify other API \
                 versions",
                "r.apiVersions[2]: Required value",
                "r.resources[0]: Required value",
                "r.scope: Unsupported value: \"Here\": supported values: \"*\", \"Cluster\", \"Namespaced\"",
            ]
        );
    }

    #[test]
    fn a_wildcard_leaves_nothing_to_name() {
        for good in
            [&["*"][..], &["*/*"], &["pods", "pods/*"], &["*", "pods/status"], &["*/status", "pods/log"]]
        {
            assert_eq!(of_resources(good), Vec::<String>::new(), "{good:?}");
        }
        assert_eq!(
            of_resources(&["pods/*", "pods/status"]),
            [
                "r.resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status"
            ]
        );
        assert_eq!(
            of_resources(&["*/status", "pods/status"]),
            [
                "r.resources[1]: Invalid value: \"pods/status\": if '*/status' is present, must not specify pods/status"
            ]
        );
        assert_eq!(of_resources(&["*/*", "pods"]).len(), 1);
        assert_eq!(of_resources(&["*", "pods"]).len(), 1);
    }

    #[test]
    fn what_a_policy_matches_is_complete() {
        let mut errors = ErrorList::new();
        let resources = json!({ "resourceRules": [{ "resourceNames": ["a", "a", "b/c"] }] });
        match_resources(&mut errors, &serde_json::from_value(resources).unwrap(), &Path::new("m"));
        let texts = texts(&errors);
        assert_eq!(
            texts[..5],
            [
                "m.matchPolicy: Required value",
                "m.namespaceSelector: Required value",
                "m.objectSelector: Required value",
                "m.resourceRules[0].resourceNames[1]: Duplicate value: \"a\"",
                "m.resourceRules[0].resourceNames[2]: Invalid value: \"b/c\": may not contain '/'",
            ]
        );
        assert_eq!(texts.len(), 9);
    }
}
