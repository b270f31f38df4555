//! Who writes a role or a binding gives away no more than they have, unless they may.

use gantry_api::meta::v1::ObjectMeta;
use gantry_api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef};
use gantry_api::{Kind, Object, Resource};

use super::rbac::Missing;
use super::rbac::cover::{describe, missing, quoted};
use super::{Attributes, MASTERS, Requester};
use crate::pipeline::User;
use crate::status::ApiError;

/// Whether who asks may write `new` in place of `old`; anybody may write what is neither role nor binding.
pub(crate) fn check(new: &dyn Object, old: Option<&dyn Object>) -> Result<(), ApiError> {
    if new.kind().group != "rbac.authorization.k8s.io" {
        return Ok(());
    }
    let Some(requester) = Requester::current() else { return Ok(()) };
    if requester.user().is_in(MASTERS) || old.is_some_and(|old| only_lets_go(new, old)) {
        return Ok(());
    }
    let check = Check { requester: &requester, kind: new.kind(), meta: new.meta() };
    if let Some(role) = new.downcast_ref::<ClusterRole>() {
        let before = old.and_then(|old| old.downcast_ref::<ClusterRole>());
        let sums = |role: &ClusterRole| role.aggregation_rule.is_some();
        check.role(&role.rules, sums(role) || before.is_some_and(sums), old.is_some())
    } else if let Some(role) = new.downcast_ref::<Role>() {
        check.role(&role.rules, false, old.is_some())
    } else if let Some(binding) = new.downcast_ref::<ClusterRoleBinding>() {
        check.binding(binding.role_ref.as_ref())
    } else if let Some(binding) = new.downcast_ref::<RoleBinding>() {
        check.binding(binding.role_ref.as_ref())
    } else {
        Ok(())
    }
}

/// Whether nothing changes but what holds the object: so much the garbage collector must be able to write.
fn only_lets_go(new: &dyn Object, old: &dyn Object) -> bool {
    let mut same = new.clone_object();
    let (meta, before) = (same.meta_mut(), old.meta());
    meta.owner_references.clone_from(&before.owner_references);
    meta.finalizers.clone_from(&before.finalizers);
    meta.managed_fields.clone_from(&before.managed_fields);
    meta.resource_version.clone_from(&before.resource_version);
    same.equals(old)
}

/// Everything.
fn everything() -> [PolicyRule; 2] {
    let all = || vec!["*".to_owned()];
    [
        PolicyRule { verbs: all(), api_groups: all(), resources: all(), ..PolicyRule::default() },
        PolicyRule { verbs: all(), non_resource_urls: all(), ..PolicyRule::default() },
    ]
}

struct Check<'a> {
    requester: &'a Requester,
    kind: &'static Kind,
    meta: &'a ObjectMeta,
}

impl Check<'_> {
    fn role(&self, rules: &[PolicyRule], sum: bool, exists: bool) -> Result<(), ApiError> {
        // A creation is asked about without a name, as the request had none.
        let name = if exists { self.meta.name.as_str() } else { "" };
        if self.may("escalate", self.kind.plural, name) {
            return Ok(());
        }
        self.holds(rules)?;
        // A sum takes in any role, also one that comes later.
        if sum && self.holds(&everything()).is_err() {
            return Err(self.forbidden("must have cluster-admin privileges to use an aggregationRule"));
        }
        Ok(())
    }

    fn binding(&self, role: Option<&RoleRef>) -> Result<(), ApiError> {
        let Some(role) = role else { return Ok(()) };
        let kind = match role.kind.as_str() {
            "ClusterRole" => <ClusterRole as Resource>::kind(),
            "Role" => <Role as Resource>::kind(),
            // Such a binding is refused by its validation.
            _ => return Ok(()),
        };
        if self.may("bind", kind.plural, &role.name) {
            return Ok(());
        }
        let rules = self.requester.authorizer().rules_of(role, &self.meta.namespace);
        self.holds(&rules.map_err(|role| ApiError::not_found(kind, &role.name))?)
    }

    fn may(&self, verb: &str, resource: &str, name: &str) -> bool {
        let attributes = Attributes::Resource {
            verb,
            group: self.kind.group,
            resource,
            subresource: "",
            namespace: &self.meta.namespace,
            name,
        };
        self.requester.authorizer().decide(self.requester.user(), &attributes, None, false).allowed
    }

    /// Whether who asks has all these rights.
    fn holds(&self, rules: &[PolicyRule]) -> Result<(), ApiError> {
        let user = self.requester.user();
        let (held, absent) = self.requester.authorizer().rules_for(user, &self.meta.namespace);
        match refusal(user, &held, &absent, rules) {
            Some(detail) => Err(self.forbidden(&detail)),
            None => Ok(()),
        }
    }

    fn forbidden(&self, detail: &str) -> ApiError {
        ApiError::forbidden(self.kind, &self.meta.name, detail)
    }
}

/// What is said to a user who does not have all these rights.
fn refusal(user: &User, held: &[PolicyRule], absent: &[Missing], rules: &[PolicyRule]) -> Option<String> {
    let lacks = missing(held, rules);
    if lacks.is_empty() {
        return None;
    }
    let mut text = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        quoted(&user.groups),
        describe(&lacks).join("\n")
    );
    if !absent.is_empty() {
        let absent: Vec<String> = absent.iter().map(ToString::to_string).collect();
        text = format!("{text}; resolution errors: [{}]", absent.join(" "));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::*;

    fn role(value: Value) -> ClusterRole {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_refusal_lists_what_is_missing() {
        let user = User::authenticated("jane", ["dev"]);
        let rules = |value| serde_json::from_value::<Vec<PolicyRule>>(value).unwrap();
        let held = rules(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]));
        let wanted =
            rules(json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "nodes"]}]));
        assert_eq!(
            refusal(&user, &held, &[], &wanted).unwrap(),
            "user \"jane\" (groups=[\"dev\" \"system:authenticated\"]) is attempting to grant RBAC permissions not \
             currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\"]}\n\
             {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}"
        );
        assert_eq!(refusal(&user, &held, &[], &held), None);
        let absent = [Missing { kind: "Role".into(), name: "x".into() }];
        let text = refusal(&user, &held, &absent, &wanted).unwrap();
        assert!(
            text.ends_with(r#"; resolution errors: [role.rbac.authorization.k8s.io "x" not found]"#),
            "{text}"
        );
    }

    #[test]
    fn letting_go_is_no_grant() {
        let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
        let old = role(json!({"metadata": {"name": "r", "finalizers": ["a"]}, "rules": rules}));
        let freed = role(json!({"metadata": {"name": "r"}, "rules": rules}));
        assert!(only_lets_go(&freed, &old));
        let labelled = role(json!({"metadata": {"name": "r", "labels": {"a": "b"}}, "rules": rules}));
        assert!(!only_lets_go(&labelled, &old));
    }

    #[test]
    fn what_the_server_does_itself_is_not_asked_about() {
        assert!(check(&role(json!({"metadata": {"name": "r"}, "rules": []})), None).is_ok());
        assert!(check(&Pod::default(), None).is_ok());
    }
}
