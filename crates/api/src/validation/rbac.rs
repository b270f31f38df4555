//! Roles and their bindings.

use serde_json::json;

use super::{
    common::{check, one_of, shown},
    names, selector,
};
use crate::defaults::rbac::GROUP;
use crate::field::{Error, ErrorList, Path};
use crate::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

pub(crate) fn role(role: &Role) -> ErrorList {
    let mut errors = ErrorList::new();
    rules(&mut errors, &role.rules, true);
    errors
}

pub(crate) fn cluster_role(role: &ClusterRole) -> ErrorList {
    let mut errors = ErrorList::new();
    rules(&mut errors, &role.rules, false);
    if let Some(aggregation) = &role.aggregation_rule {
        let path = Path::new("aggregationRule").child("clusterRoleSelectors");
        if aggregation.cluster_role_selectors.is_empty() {
            let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.push(Error::required(path.clone(), detail));
        }
        for (i, labels) in aggregation.cluster_role_selectors.iter().enumerate() {
            selector::validate(&mut errors, labels, &path.index(i));
        }
    }
    errors
}

fn rules(errors: &mut ErrorList, rules: &[PolicyRule], namespaced: bool) {
    for (i, one) in rules.iter().enumerate() {
        rule(errors, one, namespaced, &Path::new("rules").index(i));
    }
}

fn rule(errors: &mut ErrorList, rule: &PolicyRule, namespaced: bool, path: &Path) {
    if rule.verbs.is_empty() {
        errors.push(Error::required(path.child("verbs"), "verbs must contain at least one value"));
    }
    if rule.non_resource_urls.is_empty() {
        if rule.api_groups.is_empty() {
            let detail = "resource rules must supply at least one api group";
            errors.push(Error::required(path.child("apiGroups"), detail));
        }
        if rule.resources.is_empty() {
            let detail = "resource rules must supply at least one resource";
            errors.push(Error::required(path.child("resources"), detail));
        }
        return;
    }
    let path = path.child("nonResourceURLs");
    let urls = shown(&rule.non_resource_urls);
    if namespaced {
        let detail = "namespaced rules cannot apply to non-resource URLs";
        errors.push(Error::invalid(path.clone(), urls.clone(), detail));
    }
    if !(rule.api_groups.is_empty() && rule.resources.is_empty() && rule.resource_names.is_empty()) {
        let detail = "rules cannot apply to both regular resources and non-resource URLs";
        errors.push(Error::invalid(path, urls, detail));
    }
}

pub(crate) fn role_binding(binding: &RoleBinding) -> ErrorList {
    let mut errors = ErrorList::new();
    role_ref(&mut errors, binding.role_ref.as_ref(), &["Role", "ClusterRole"]);
    subjects(&mut errors, &binding.subjects, true);
    errors
}

pub(crate) fn role_binding_update(new: &RoleBinding, old: &RoleBinding) -> ErrorList {
    let mut errors = role_binding(new);
    same_role(&mut errors, new.role_ref.as_ref(), old.role_ref.as_ref());
    errors
}

pub(crate) fn cluster_role_binding(binding: &ClusterRoleBinding) -> ErrorList {
    let mut errors = ErrorList::new();
    role_ref(&mut errors, binding.role_ref.as_ref(), &["ClusterRole"]);
    subjects(&mut errors, &binding.subjects, false);
    errors
}

pub(crate) fn cluster_role_binding_update(new: &ClusterRoleBinding, old: &ClusterRoleBinding) -> ErrorList {
    let mut errors = cluster_role_binding(new);
    same_role(&mut errors, new.role_ref.as_ref(), old.role_ref.as_ref());
    errors
}

fn role_ref(errors: &mut ErrorList, role: Option<&RoleRef>, kinds: &[&str]) {
    let nothing = RoleRef::default();
    let (role, path) = (role.unwrap_or(&nothing), Path::new("roleRef"));
    one_of(errors, &path.child("apiGroup"), &role.api_group, &[GROUP]);
    one_of(errors, &path.child("kind"), &role.kind, kinds);
    let path = path.child("name");
    if role.name.is_empty() {
        errors.push(Error::required(path, ""));
    } else {
        check(errors, &path, &role.name, names::path_segment(&role.name));
    }
}

fn same_role(errors: &mut ErrorList, new: Option<&RoleRef>, old: Option<&RoleRef>) {
    let (new, old) = (new.cloned().unwrap_or_default(), old.cloned().unwrap_or_default());
    if new != old {
        // Upstream shows its internal type here, whose names begin with capitals.
        let value = json!({ "APIGroup": new.api_group, "Kind": new.kind, "Name": new.name });
        errors.push(Error::invalid(Path::new("roleRef"), value, "cannot change roleRef"));
    }
}

fn subjects(errors: &mut ErrorList, subjects: &[Subject], namespaced: bool) {
    for (i, one) in subjects.iter().enumerate() {
        subject(errors, one, namespaced, &Path::new("subjects").index(i));
    }
}

fn subject(errors: &mut ErrorList, subject: &Subject, namespaced: bool, path: &Path) {
    let name = path.child("name");
    if subject.name.is_empty() {
        errors.push(Error::required(name.clone(), ""));
    }
    match subject.kind.as_str() {
        "ServiceAccount" => {
            if !subject.name.is_empty() {
                check(errors, &name, &subject.name, names::dns1123_subdomain(&subject.name));
            }
            one_of(errors, &path.child("apiGroup"), &subject.api_group, &[""]);
            if !namespaced && subject.namespace.is_empty() {
                errors.push(Error::required(path.child("namespace"), ""));
            }
        }
        kind @ ("User" | "Group") => {
            if subject.name.is_empty() {
                let detail = format!("{} name cannot be empty", kind.to_lowercase());
                errors.push(Error::invalid(name, "", detail));
            }
            one_of(errors, &path.child("apiGroup"), &subject.api_group, &[GROUP]);
        }
        other => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.push(Error::not_supported(path.child("kind"), other, &kinds));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn rules_of(rules: Value) -> (Vec<String>, Vec<String>) {
        let namespaced = role(&serde_json::from_value(json!({ "rules": rules })).unwrap());
        let cluster = cluster_role(&serde_json::from_value(json!({ "rules": rules })).unwrap());
        (texts(&namespaced), texts(&cluster))
    }

    #[test]
    fn a_rule_is_about_resources_or_paths() {
        let (namespaced, cluster) =
            rules_of(json!([{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"] }]));
        assert!(namespaced.is_empty() && cluster.is_empty());
        let (namespaced, cluster) = rules_of(json!([{}]));
        assert_eq!(
            namespaced,
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ]
        );
        assert_eq!(cluster, namespaced);
        let (namespaced, cluster) = rules_of(json!([{ "verbs": ["get"], "nonResourceURLs": ["/livez"] }]));
        assert_eq!(
            namespaced,
            [
                "rules[0].nonResourceURLs: Invalid value: [\"/livez\"]: namespaced rules cannot apply to non-resource URLs"
            ]
        );
        assert!(cluster.is_empty());
        let both = json!([{ "verbs": ["get"], "nonResourceURLs": ["/livez"], "resourceNames": ["a"] }]);
        assert_eq!(rules_of(both).1.len(), 1);
    }

    #[test]
    fn aggregation_selects_something() {
        let of = |json| texts(&cluster_role(&serde_json::from_value(json).unwrap()));
        assert_eq!(
            of(json!({ "aggregationRule": {} })),
            [
                "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"
            ]
        );
        let labels = json!([{ "matchLabels": { "a b": "c" } }]);
        assert_eq!(of(json!({ "aggregationRule": { "clusterRoleSelectors": labels } })).len(), 1);
    }

    fn binding(kind: &str, subjects: &Value) -> RoleBinding {
        let role = json!({ "apiGroup": GROUP, "kind": kind, "name": "system:node" });
        serde_json::from_value(json!({ "roleRef": role, "subjects": subjects })).unwrap()
    }

    #[test]
    fn subjects_are_users_groups_and_accounts() {
        let good = json!([
            { "kind": "User", "apiGroup": GROUP, "name": "jane" },
            { "kind": "ServiceAccount", "name": "default" },
        ]);
        assert_eq!(role_binding(&binding("Role", &good)), []);
        let cluster = |binding: RoleBinding| ClusterRoleBinding {
            metadata: None,
            subjects: binding.subjects,
            role_ref: binding.role_ref,
        };
        assert_eq!(
            texts(&cluster_role_binding(&cluster(binding("Role", &good)))),
            [
                "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                "subjects[1].namespace: Required value",
            ]
        );
        let bad = json!([
            { "kind": "Group", "name": "" },
            { "kind": "Robot", "name": "r" },
            { "kind": "ServiceAccount", "apiGroup": "x", "name": "a" },
        ]);
        assert_eq!(
            texts(&role_binding(&binding("Role", &bad))),
            [
                "subjects[0].name: Required value",
                "subjects[0].name: Invalid value: \"\": group name cannot be empty",
                "subjects[0].apiGroup: Unsupported value: \"\": supported values: \"rbac.authorization.k8s.io\"",
                "subjects[1].kind: Unsupported value: \"Robot\": supported values: \"Group\", \"ServiceAccount\", \"User\"",
                "subjects[2].apiGroup: Unsupported value: \"x\": supported values: \"\"",
            ]
        );
    }

    #[test]
    fn a_binding_keeps_its_role() {
        let (new, old) = (binding("ClusterRole", &json!([])), binding("Role", &json!([])));
        assert_eq!(role_binding_update(&old, &old), []);
        assert_eq!(
            texts(&role_binding_update(&new, &old)),
            [
                "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"system:node\"}: cannot change roleRef"
            ]
        );
        assert_eq!(role_binding(&RoleBinding::default()).len(), 3);
    }
}
