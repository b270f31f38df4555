//! The order of versions, as clients prefer them.

use std::cmp::Reverse;

/// What versions are sorted by: stable ones first, then betas, then alphas, each the newest first; others behind, by
/// name.
#[must_use]
pub fn order(name: &str) -> (u8, Reverse<(u32, u32)>, &str) {
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
    #[test]
    fn versions_are_sorted_as_clients_prefer_them() {
        let mut versions = ["x", "v1alpha1", "v1beta2", "v1", "v2beta1", "v2", "v1beta10"];
        versions.sort_by_key(|name| super::order(name));
        assert_eq!(versions, ["v2", "v1", "v2beta1", "v1beta10", "v1beta2", "v1alpha1", "x"]);
    }
}
