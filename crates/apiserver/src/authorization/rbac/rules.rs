//! Whether one rule of a role permits a request.

use gantry_api::rbac::v1::PolicyRule;

use crate::authorization::Attributes;

/// What stands for everything: verbs, groups, resources and paths.
pub(super) const ALL: &str = "*";

/// Whether the rule permits the request.
pub(crate) fn permits(rule: &PolicyRule, attributes: &Attributes<'_>) -> bool {
    match *attributes {
        Attributes::Resource { verb, group, resource, subresource, name, .. } => {
            has_or_all(&rule.verbs, verb)
                && has_or_all(&rule.api_groups, group)
                && resources(&rule.resources, resource, subresource)
                && names(&rule.resource_names, name)
        }
        Attributes::Path { verb, path } => {
            has_or_all(&rule.verbs, verb) && rule.non_resource_urls.iter().any(|url| path_covers(url, path))
        }
    }
}

fn has_or_all(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == ALL || item == wanted)
}

fn resources(list: &[String], resource: &str, subresource: &str) -> bool {
    list.iter().any(|item| {
        if item == ALL {
            return true;
        }
        match item.split_once('/') {
            None => subresource.is_empty() && item == resource,
            Some((of, below)) => {
                !subresource.is_empty() && below == subresource && (of == ALL || of == resource)
            }
        }
    })
}

fn names(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|item| item == name)
}

/// Whether a path of a rule, which may end in `*`, covers a path, which may do so too.
pub(super) fn path_covers(rule: &str, path: &str) -> bool {
    rule == ALL || rule == path || rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(verbs: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
        let rule = json!({"verbs": verbs, "apiGroups": ["", "apps"], "resources": resources, "resourceNames": names});
        serde_json::from_value(rule).unwrap()
    }

    fn may(rule: &PolicyRule, verb: &str, group: &str, resource: &str, name: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        permits(rule, &Attributes::Resource { verb, group, resource, subresource, namespace: "a", name })
    }

    #[test]
    fn verbs_groups_resources_and_names_must_all_fit() {
        let one = rule(&["get", "list"], &["pods"], &[]);
        assert!(may(&one, "get", "", "pods", "x"));
        assert!(may(&one, "list", "apps", "pods", ""));
        assert!(!may(&one, "watch", "", "pods", ""));
        assert!(!may(&one, "get", "batch", "pods", "x"));
        assert!(!may(&one, "get", "", "secrets", "x"));
        let named = rule(&["get", "list"], &["pods"], &["x"]);
        assert!(may(&named, "get", "", "pods", "x"));
        assert!(!may(&named, "get", "", "pods", "y"));
        // A collection has no name, so that a name never permits it.
        assert!(!may(&named, "list", "", "pods", ""));
    }

    #[test]
    fn subresources_are_named_on_their_own() {
        let one = rule(&["get"], &["pods/log", "*/scale"], &[]);
        assert!(may(&one, "get", "", "pods/log", "x"));
        assert!(!may(&one, "get", "", "pods", "x"));
        assert!(!may(&one, "get", "", "pods/exec", "x"));
        assert!(may(&one, "get", "apps", "deployments/scale", "x"));
        assert!(!may(&one, "get", "apps", "deployments", "x"));
        let pods = rule(&["get"], &["pods"], &[]);
        assert!(!may(&pods, "get", "", "pods/log", "x"));
        let all = rule(&["*"], &["*"], &[]);
        assert!(may(&all, "delete", "apps", "deployments/scale", "x"));
        assert!(may(&all, "impersonate", "", "users", "x"));
    }

    #[test]
    fn paths_may_end_in_a_star() {
        let rule: PolicyRule =
            serde_json::from_value(json!({"verbs": ["get"], "nonResourceURLs": ["/version", "/apis/*"]}))
                .unwrap();
        let get = |path| permits(&rule, &Attributes::Path { verb: "get", path });
        assert!(get("/version") && get("/apis/") && get("/apis/apps/v1"));
        assert!(!get("/version/") && !get("/apis") && !get("/api"));
        assert!(!permits(&rule, &Attributes::Path { verb: "post", path: "/version" }));
        // Rules about paths permit no resources, and the reverse.
        assert!(!may(&rule, "get", "", "pods", "x"));
        let all: PolicyRule =
            serde_json::from_value(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})).unwrap();
        assert!(!permits(&all, &Attributes::Path { verb: "get", path: "/version" }));
    }
}
