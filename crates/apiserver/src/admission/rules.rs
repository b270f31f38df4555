//! The rules by which webhooks and policies say what they are asked about.

use gantry_api::admissionregistration::v1::{Rule, RuleWithOperations};

const ALL: &str = "*";

/// What a request does to what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub(crate) operation: &'a str,
    /// The API group; empty for the core group.
    pub(crate) group: &'a str,
    /// The version.
    pub(crate) version: &'a str,
    /// The plural name.
    pub(crate) resource: &'a str,
    /// The subresource; empty for the object itself.
    pub(crate) subresource: &'a str,
    /// The namespace, that of a namespace being its name; empty for what lives in none.
    pub(crate) namespace: &'a str,
}

impl Wanted<'_> {
    fn is_about_namespaces(&self) -> bool {
        self.group.is_empty() && self.resource == "namespaces"
    }

    /// Whether a rule covers it.
    pub(crate) fn matches(&self, rule: &RuleWithOperations) -> bool {
        let Some(of) = &rule.rule else { return false };
        self.is_in_scope(of)
            && names(&rule.operations, self.operation)
            && names(&of.api_groups, self.group)
            && names(&of.api_versions, self.version)
            && of.resources.iter().any(|resource| self.is_of(resource))
    }

    fn is_in_scope(&self, rule: &Rule) -> bool {
        // A namespace is no object in a namespace, though requests about it name it as theirs.
        let namespaced = !self.is_about_namespaces() && !self.namespace.is_empty();
        match rule.scope.as_deref() {
            Some("Namespaced") => namespaced,
            Some("Cluster") => !namespaced,
            _ => true,
        }
    }

    fn is_of(&self, resource: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        (resource == ALL || resource == self.resource)
            && (subresource == ALL || subresource == self.subresource)
    }
}

fn names(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == ALL || one == wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rule(more: Value) -> RuleWithOperations {
        let mut rule = json!({
            "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
        });
        for (key, value) in more.as_object().unwrap() {
            rule[key] = value.clone();
        }
        serde_json::from_value(rule).unwrap()
    }

    fn wanted(resource: &'static str, subresource: &'static str) -> Wanted<'static> {
        let (group, version, namespace) = ("", "v1", "default");
        Wanted { operation: "CREATE", group, version, resource, subresource, namespace }
    }

    #[test]
    fn resources_and_subresources_have_wildcards() {
        for (resources, pods, status, configs) in [
            (json!(["pods"]), true, false, false),
            (json!(["pods/status"]), false, true, false),
            (json!(["pods/*"]), true, true, false),
            (json!(["*"]), true, false, true),
            (json!(["*/status"]), false, true, false),
            (json!(["*/*"]), true, true, true),
            (json!(["configmaps", "pods/status"]), false, true, true),
        ] {
            let rule = rule(json!({"resources": resources}));
            let found = [("pods", ""), ("pods", "status"), ("configmaps", "")]
                .map(|(resource, sub)| wanted(resource, sub).matches(&rule));
            assert_eq!(found, [pods, status, configs], "{resources}");
        }
    }

    #[test]
    fn groups_versions_and_operations_are_named_or_all() {
        assert!(wanted("pods", "").matches(&rule(json!({}))));
        assert!(
            wanted("pods", "")
                .matches(&rule(json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"]})))
        );
        for other in [
            json!({"operations": ["UPDATE", "DELETE"]}),
            json!({"apiGroups": ["apps"]}),
            json!({"apiVersions": ["v1beta1"]}),
        ] {
            assert!(!wanted("pods", "").matches(&rule(other.clone())), "{other}");
        }
    }

    #[test]
    fn a_namespace_is_of_the_cluster() {
        let scoped = |scope: &str| rule(json!({"resources": ["*"], "scope": scope}));
        for (resource, namespace, namespaced) in
            [("pods", "a", true), ("nodes", "", false), ("namespaces", "a", false)]
        {
            let wanted = Wanted { namespace, ..wanted(resource, "") };
            assert!(wanted.matches(&scoped("*")));
            assert_eq!(wanted.matches(&scoped("Namespaced")), namespaced, "{resource}");
            assert_eq!(wanted.matches(&scoped("Cluster")), !namespaced, "{resource}");
        }
    }
}
