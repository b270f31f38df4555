//! The API groups of roles and subjects.

use super::text;
use crate::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};

/// The API group of roles, users and groups.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

pub(crate) fn role_binding(binding: &mut RoleBinding) {
    groups(&mut binding.role_ref, &mut binding.subjects);
}

pub(crate) fn cluster_role_binding(binding: &mut ClusterRoleBinding) {
    groups(&mut binding.role_ref, &mut binding.subjects);
}

fn groups(role: &mut Option<RoleRef>, subjects: &mut [Subject]) {
    text(&mut role.get_or_insert_default().api_group, GROUP);
    for subject in subjects.iter_mut().filter(|subject| matches!(subject.kind.as_str(), "User" | "Group")) {
        text(&mut subject.api_group, GROUP);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_users_and_groups_have_the_group_of_roles() {
        let subjects =
            json!([{ "kind": "User" }, { "kind": "ServiceAccount" }, { "kind": "Group", "apiGroup": "x" }]);
        let mut binding: RoleBinding = serde_json::from_value(json!({ "subjects": subjects })).unwrap();
        role_binding(&mut binding);
        assert_eq!(binding.role_ref.unwrap().api_group, GROUP);
        let groups: Vec<_> = binding.subjects.iter().map(|subject| subject.api_group.as_str()).collect();
        assert_eq!(groups, [GROUP, "", "x"]);
    }
}
