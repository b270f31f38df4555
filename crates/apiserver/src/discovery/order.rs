//! The order in which groups and versions are shown: clients that are asked for a name take the first that has it.

/// Upstream's order of groups; others follow by name.
const GROUPS: [&str; 21] = [
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "resource.k8s.io",
];

/// What groups are sorted by.
pub(super) fn group(name: &str) -> (usize, &str) {
    (GROUPS.iter().position(|known| *known == name).unwrap_or(GROUPS.len()), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_group_is_first_and_unknown_groups_are_last() {
        let mut groups = ["z.example", "discovery.k8s.io", "apps", "a.example", ""];
        groups.sort_by_key(|name| group(name));
        assert_eq!(groups, ["", "apps", "discovery.k8s.io", "a.example", "z.example"]);
    }
}
