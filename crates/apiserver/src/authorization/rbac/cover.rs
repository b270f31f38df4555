//! Whether some rules permit everything that others permit.

use std::collections::BTreeSet;

use gantry_api::rbac::v1::PolicyRule;

use super::rules::{ALL, path_covers};

/// What of `wanted` no rule of `held` permits, in rules of one verb on one resource or path.
pub(crate) fn missing(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    let parts = wanted.iter().flat_map(parts);
    parts.filter(|part| !held.iter().any(|rule| covers(rule, part))).collect()
}

/// Takes a rule apart: each part has one verb, and one resource of one group with at most one name, or one path.
fn parts(rule: &PolicyRule) -> Vec<PolicyRule> {
    let mut all = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let part = PolicyRule {
                    verbs: vec![verb.clone()],
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    ..PolicyRule::default()
                };
                if rule.resource_names.is_empty() {
                    all.push(part);
                    continue;
                }
                let named = |name: &String| PolicyRule { resource_names: vec![name.clone()], ..part.clone() };
                all.extend(rule.resource_names.iter().map(named));
            }
        }
    }
    for url in &rule.non_resource_urls {
        all.extend(rule.verbs.iter().map(|verb| PolicyRule {
            verbs: vec![verb.clone()],
            non_resource_urls: vec![url.clone()],
            ..PolicyRule::default()
        }));
    }
    all
}

fn covers(rule: &PolicyRule, part: &PolicyRule) -> bool {
    let all = |held: &[String], wanted: &[String]| {
        held.iter().any(|item| item == ALL) || wanted.iter().all(|item| held.contains(item))
    };
    let resources = all(&rule.resources, &part.resources)
        || part.resources.iter().all(|resource| {
            let everywhere = resource.split_once('/').map(|(_, below)| format!("*/{below}"));
            rule.resources.contains(resource) || everywhere.is_some_and(|it| rule.resources.contains(&it))
        });
    let names = rule.resource_names.is_empty()
        || !part.resource_names.is_empty()
            && part.resource_names.iter().all(|name| rule.resource_names.contains(name));
    let urls = part
        .non_resource_urls
        .iter()
        .all(|path| rule.non_resource_urls.iter().any(|url| path_covers(url, path)));
    all(&rule.verbs, &part.verbs) && all(&rule.api_groups, &part.api_groups) && resources && names && urls
}

/// Rules as an error lists them: verbs on the same resource together, each rule once, in order.
pub(crate) fn describe(rules: &[PolicyRule]) -> Vec<String> {
    let simple = |rule: &PolicyRule| {
        rule.resource_names.len() <= 1
            && rule.non_resource_urls.is_empty()
            && rule.api_groups.len() == 1
            && rule.resources.len() == 1
    };
    let mut together: Vec<PolicyRule> = Vec::new();
    for rule in rules {
        let same = |other: &&mut PolicyRule| {
            simple(other)
                && (&other.api_groups, &other.resources, &other.resource_names)
                    == (&rule.api_groups, &rule.resources, &rule.resource_names)
        };
        match together.iter_mut().find(same).filter(|_| simple(rule)) {
            Some(other) => other.verbs.extend(rule.verbs.iter().cloned()),
            None => together.push(rule.clone()),
        }
    }
    let texts: BTreeSet<String> = together.iter().map(text).collect();
    texts.into_iter().collect()
}

fn text(rule: &PolicyRule) -> String {
    let parts = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("ResourceNames", &rule.resource_names),
        ("Verbs", &rule.verbs),
    ];
    let parts = parts.into_iter().filter(|(_, list)| !list.is_empty());
    let parts: Vec<String> = parts.map(|(name, list)| format!("{name}:{}", quoted(list))).collect();
    format!("{{{}}}", parts.join(", "))
}

/// A list as errors show it: `["a" "b"]`.
pub(crate) fn quoted(list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules(value: Value) -> Vec<PolicyRule> {
        serde_json::from_value(value).unwrap()
    }

    fn lacks(held: Value, wanted: Value) -> Vec<String> {
        describe(&missing(&rules(held), &rules(wanted)))
    }

    #[test]
    fn several_rules_together_cover_one() {
        let held = json!([
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "*/scale"]},
            {"verbs": ["list"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["/apis/*"]},
        ]);
        let wanted = json!([
            {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/scale"]},
            {"verbs": ["get"], "nonResourceURLs": ["/apis/apps", "/apis/a*"]},
        ]);
        assert_eq!(lacks(held, wanted), [""; 0]);
    }

    #[test]
    fn what_is_missing_is_listed_by_resource() {
        let held =
            json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}]);
        let wanted = json!([
            {"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods"]},
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a", "b"]},
            {"verbs": ["get"], "nonResourceURLs": ["/x"]},
        ]);
        assert_eq!(
            lacks(held, wanted),
            [
                r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}"#,
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#,
                r#"{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "list"]}"#,
                r#"{NonResourceURLs:["/x"], Verbs:["get"]}"#,
            ]
        );
    }

    #[test]
    fn a_star_is_covered_by_a_star_alone() {
        let many = json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]);
        let all = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
        assert_eq!(lacks(all.clone(), many.clone()), [""; 0]);
        assert_eq!(lacks(many, all), [r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#]);
    }
}
