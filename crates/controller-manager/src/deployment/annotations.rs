//! What a Deployment notes on its ReplicaSets.

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, ReplicaSet};

/// The number of a template, counted up with each change.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The numbers that a ReplicaSet had before, when its template came back.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The Deployment's size when the ReplicaSet was last scaled.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// That with the surge.
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// What describes the Deployment itself and must not be copied.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];
/// Earlier revisions that are kept, in characters.
const MAX_HISTORY: usize = 2000;

/// A ReplicaSet's revision; zero where it has none.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    set.meta().annotations.get(REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

/// Brings the new ReplicaSet's annotations up to date; whether that changed any.
pub(super) fn renew(deployment: &Deployment, set: &mut ReplicaSet, revision: i64, exists: bool) -> bool {
    let mut changed = false;
    let before = self::revision(set);
    let annotations = &mut set.meta_mut().annotations;
    for (key, value) in &deployment.meta().annotations {
        if !OWN.contains(&key.as_str()) && annotations.get(key) != Some(value) {
            annotations.insert(key.clone(), value.clone());
            changed = true;
        }
    }
    if before < revision {
        let old = annotations.insert(REVISION.to_owned(), revision.to_string());
        changed = true;
        if let Some(old) = old.filter(|_| exists) {
            let history = annotations.entry(HISTORY.to_owned()).or_default();
            if !history.is_empty() {
                history.push(',');
            }
            history.push_str(&old);
            while history.len() > MAX_HISTORY {
                let Some((_, rest)) = history.split_once(',') else { break };
                *history = rest.to_owned();
            }
        }
    }
    changed
}

/// Notes the Deployment's size; whether that changed anything.
pub(super) fn note_size(set: &mut ReplicaSet, desired: i32, max: i32) -> bool {
    let annotations = &mut set.meta_mut().annotations;
    let mut changed = false;
    for (key, value) in [(DESIRED, desired), (MAX, max)] {
        let value = value.to_string();
        if annotations.get(key) != Some(&value) {
            annotations.insert(key.to_owned(), value);
            changed = true;
        }
    }
    changed
}

/// A number that was noted.
pub(super) fn noted(set: &ReplicaSet, key: &str) -> Option<i32> {
    set.meta().annotations.get(key)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{HISTORY, renew, revision};
    use gantry_api::Resource;
    use gantry_api::apps::v1::{Deployment, ReplicaSet};

    #[test]
    fn a_template_that_comes_back_keeps_its_history() {
        let mut deployment = Deployment::default();
        deployment.meta_mut().annotations.insert("note".into(), "x".into());
        deployment.meta_mut().annotations.insert(super::REVISION.into(), "9".into());
        let mut set = ReplicaSet::default();
        assert!(renew(&deployment, &mut set, 1, false));
        assert_eq!((revision(&set), set.meta().annotations["note"].as_str()), (1, "x"));
        assert!(!renew(&deployment, &mut set, 1, true));
        assert!(renew(&deployment, &mut set, 3, true));
        assert!(renew(&deployment, &mut set, 5, true));
        assert_eq!((revision(&set), set.meta().annotations[HISTORY].as_str()), (5, "1,3"));
    }
}
