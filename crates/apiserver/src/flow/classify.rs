//! Which schema a request is of: the first in their order of which one rule fits.

use gantry_api::flowcontrol::v1::{
    FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};

use crate::authorization::Attributes;
use crate::pipeline::{User, as_service_account};

const ANY: &str = "*";

/// What tells the flows of a schema apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distinguisher {
    /// Nothing: they are one.
    None,
    User,
    Namespace,
}

impl Distinguisher {
    pub(super) fn of(spec: &FlowSchemaSpec) -> Self {
        match spec.distinguisher_method.as_ref().map(|method| method.r#type.as_str()) {
            Some("ByUser") => Self::User,
            Some("ByNamespace") => Self::Namespace,
            _ => Self::None,
        }
    }

    /// What a request's flow is called.
    pub(super) fn name<'a>(self, user: &'a User, asked: &Attributes<'a>) -> &'a str {
        match (self, *asked) {
            (Self::User, _) => &user.name,
            (Self::Namespace, Attributes::Resource { namespace, .. }) => namespace,
            _ => "",
        }
    }
}

/// Whether one of the rules fits a request.
pub(super) fn fits(rules: &[PolicyRulesWithSubjects], user: &User, asked: &Attributes<'_>) -> bool {
    rules.iter().any(|rule| {
        rule.subjects.iter().any(|subject| is_subject(subject, user))
            && match *asked {
                Attributes::Resource { .. } => rule.resource_rules.iter().any(|one| of_resource(one, asked)),
                Attributes::Path { verb, path } => {
                    rule.non_resource_rules.iter().any(|one| of_path(one, verb, path))
                }
            }
    })
}

fn is_subject(subject: &Subject, user: &User) -> bool {
    match subject.kind.as_str() {
        "User" => subject.user.as_ref().is_some_and(|one| one.name == ANY || one.name == user.name),
        "Group" => subject.group.as_ref().is_some_and(|one| one.name == ANY || user.is_in(&one.name)),
        "ServiceAccount" => subject.service_account.as_ref().is_some_and(|one| {
            as_service_account(&user.name).is_some_and(|(namespace, name)| {
                one.namespace == namespace && (one.name == ANY || one.name == name)
            })
        }),
        _ => false,
    }
}

fn has(list: &[String], value: &str) -> bool {
    list.iter().any(|one| one == ANY || one == value)
}

fn of_resource(rule: &ResourcePolicyRule, asked: &Attributes<'_>) -> bool {
    let Attributes::Resource { verb, group, resource, subresource, namespace, .. } = *asked else {
        return false;
    };
    let is_named = |one: &String| {
        one == ANY
            || if subresource.is_empty() {
                one == resource
            } else {
                one.split_once('/').is_some_and(|(of, sub)| of == resource && sub == subresource)
            }
    };
    has(&rule.verbs, verb)
        && has(&rule.api_groups, group)
        && rule.resources.iter().any(is_named)
        && if namespace.is_empty() { rule.cluster_scope } else { has(&rule.namespaces, namespace) }
}

fn of_path(rule: &NonResourcePolicyRule, verb: &str, path: &str) -> bool {
    let is_path = |one: &String| match one.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => one == path,
    };
    has(&rule.verbs, verb) && rule.non_resource_urls.iter().any(is_path)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules(value: Value) -> Vec<PolicyRulesWithSubjects> {
        serde_json::from_value(json!([value])).unwrap()
    }

    fn asked<'a>(
        verb: &'a str,
        resource: &'a str,
        subresource: &'a str,
        namespace: &'a str,
    ) -> Attributes<'a> {
        Attributes::Resource { verb, group: "", resource, subresource, namespace, name: "" }
    }

    #[test]
    fn subjects_are_users_groups_and_service_accounts() {
        let of = |subject: Value, user: &User| {
            let all = json!({"verbs": ["*"], "nonResourceURLs": ["*"]});
            let rules = rules(json!({"subjects": [subject], "nonResourceRules": [all]}));
            fits(&rules, user, &Attributes::Path { verb: "get", path: "/version" })
        };
        let robot = User::authenticated("system:serviceaccount:a:robot", ["system:serviceaccounts"]);
        let jane = User::authenticated("jane", ["dev"]);
        for (subject, of_robot, of_jane) in [
            (json!({"kind": "User", "user": {"name": "jane"}}), false, true),
            (json!({"kind": "User", "user": {"name": "*"}}), true, true),
            (json!({"kind": "Group", "group": {"name": "dev"}}), false, true),
            (json!({"kind": "Group", "group": {"name": "system:authenticated"}}), true, true),
            (
                json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}}),
                true,
                false,
            ),
            (
                json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "robot"}}),
                true,
                false,
            ),
            (
                json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "b", "name": "*"}}),
                false,
                false,
            ),
        ] {
            assert_eq!(
                (of(subject.clone(), &robot), of(subject.clone(), &jane)),
                (of_robot, of_jane),
                "{subject}"
            );
        }
    }

    #[test]
    fn rules_are_about_resources_or_paths() {
        let everyone = json!([{"kind": "Group", "group": {"name": "*"}}]);
        let rules = rules(json!({
            "subjects": everyone,
            "resourceRules": [
                {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "nodes/status"],
                 "namespaces": ["a"], "clusterScope": false},
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["nodes/status"], "clusterScope": true},
            ],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api*"]}],
        }));
        let jane = User::authenticated("jane", []);
        let fits = |asked: Attributes<'_>| fits(&rules, &jane, &asked);
        assert!(fits(asked("get", "pods", "", "a")));
        assert!(!fits(asked("get", "pods", "log", "a")));
        assert!(!fits(asked("delete", "pods", "", "a")));
        assert!(!fits(asked("list", "pods", "", "b")));
        assert!(!fits(asked("list", "pods", "", "")));
        assert!(fits(asked("update", "nodes", "status", "")));
        assert!(!fits(asked("update", "nodes", "", "")));
        assert!(fits(Attributes::Path { verb: "get", path: "/healthz" }));
        assert!(fits(Attributes::Path { verb: "get", path: "/apis/apps" }));
        assert!(!fits(Attributes::Path { verb: "get", path: "/healthz/ping" }));
        assert!(!fits(Attributes::Path { verb: "post", path: "/healthz" }));
    }

    #[test]
    fn flows_are_told_apart_by_user_or_namespace() {
        let jane = User::authenticated("jane", []);
        let pods = asked("get", "pods", "", "a");
        assert_eq!(Distinguisher::User.name(&jane, &pods), "jane");
        assert_eq!(Distinguisher::Namespace.name(&jane, &pods), "a");
        assert_eq!(Distinguisher::None.name(&jane, &pods), "");
        assert_eq!(Distinguisher::Namespace.name(&jane, &Attributes::Path { verb: "get", path: "/" }), "");
    }
}
