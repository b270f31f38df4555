//! The order in which groups and versions are shown: clients that are asked for a name take the first that has it.

use std::cmp::Reverse;

/// Upstream's order of groups; others follow by name.
const GROUPS: [&str; 20] = [
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
    "resource.k8s.io",
];

/// What groups are sorted by.
pub(super) fn group(name: &str) -> (usize, &str) {
    (GROUPS.iter().position(|known| *known == name).unwrap_or(GROUPS.len()), name)
}

/// What versions are sorted by: stable ones first, then betas, then alphas, each the newest first.
pub(super) fn version(name: &str) -> (u8, Reverse<(u32, u32)>, &str) {
    let parse = || {
        let rest = name.strip_prefix('v')?;
        let digits = |text: &str| text.parse::<u32>().ok();
        for (stability, word) in [(1, "beta"), (2, "alpha")] {
            if let Some((major, minor)) = rest.split_once(word) {
                return Some((stability, Reverse((digits(major)?, digits(minor)?)), name));
            }
        }
        Some((0, Reverse((digits(rest)?, 0)), name))
    };
    parse().unwrap_or((3, Reverse((0, 0)), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_sorted_as_clients_prefer_them() {
        let mut versions = ["x", "v1alpha1", "v1beta2", "v1", "v2beta1", "v2", "v1beta10"];
        versions.sort_by_key(|name| version(name));
        assert_eq!(versions, ["v2", "v1", "v2beta1", "v1beta10", "v1beta2", "v1alpha1", "x"]);
    }

    #[test]
    fn the_core_group_is_first_and_unknown_groups_are_last() {
        let mut groups = ["z.example", "discovery.k8s.io", "apps", "a.example", ""];
        groups.sort_by_key(|name| group(name));
        assert_eq!(groups, ["", "apps", "discovery.k8s.io", "a.example", "z.example"]);
    }
}
