//! Roles and their bindings.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, seconds};
use crate::Resource;
use crate::rbac::v1::{RoleRef, Subject};
use crate::strategy::age;

pub(in crate::strategy) const ROLE: &[Column] =
    &[Column::NAME, Column::new("Created At", "date", "When the object was created")];

/// A role of either kind.
pub(in crate::strategy) fn role(role: &impl Resource) -> Vec<Value> {
    let created = seconds(role.meta().creation_timestamp);
    vec![role.name().into(), created.map(|time| time.to_string()).unwrap_or_default().into()]
}

pub(in crate::strategy) const BINDING: &[Column] = &[
    Column::NAME,
    Column::new("Role", "string", "The role that it gives"),
    Column::AGE,
    Column::wide("Users", "string", "The users that it gives the role to"),
    Column::wide("Groups", "string", "The groups that it gives the role to"),
    Column::wide("ServiceAccounts", "string", "The service accounts that it gives the role to"),
];

/// A binding of either kind.
pub(in crate::strategy) fn binding(
    binding: &impl Resource,
    role: Option<&RoleRef>,
    subjects: &[Subject],
    now: Timestamp,
) -> Vec<Value> {
    let of = |kind: &str| {
        let named = subjects.iter().filter(|subject| subject.kind == kind).map(shown);
        Value::from(named.collect::<Vec<_>>().join(", "))
    };
    let role = role.cloned().unwrap_or_default();
    vec![
        binding.name().into(),
        format!("{}/{}", role.kind, role.name).into(),
        age(binding.meta(), now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

fn shown(subject: &Subject) -> String {
    match subject.kind.as_str() {
        "ServiceAccount" => format!("{}/{}", subject.namespace, subject.name),
        _ => subject.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rbac::v1::{Role, RoleBinding};

    #[test]
    fn a_role_shows_when_it_was_made() {
        let made = json!({ "metadata": { "name": "r", "creationTimestamp": "2026-01-02T03:04:05Z" } });
        let made: Role = serde_json::from_value(made).unwrap();
        assert_eq!(role(&made), ["r", "2026-01-02T03:04:05Z"]);
    }

    #[test]
    fn a_binding_shows_whom_it_is_about() {
        let object: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "b" },
            "roleRef": { "kind": "ClusterRole", "name": "view" },
            "subjects": [
                { "kind": "User", "name": "jane" },
                { "kind": "User", "name": "joe" },
                { "kind": "ServiceAccount", "name": "default", "namespace": "web" },
            ],
        }))
        .unwrap();
        let cells = binding(&object, object.role_ref.as_ref(), &object.subjects, Timestamp::UNIX_EPOCH);
        assert_eq!(cells, ["b", "ClusterRole/view", "<unknown>", "jane, joe", "", "web/default"]);
        assert_eq!(cells.len(), BINDING.len());
    }
}
