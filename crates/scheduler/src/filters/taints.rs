use gantry_api::core::v1::{Taint, Toleration};

use super::{Candidate, Rejection};
use crate::pod::Pod;
use crate::snapshot::NodeInfo;

/// The taint that a cordoned node counts as having.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// A cordoned node takes only pods that tolerate it.
pub(super) fn unschedulable(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<Rejection> {
    let taint = Taint { key: UNSCHEDULABLE.into(), effect: "NoSchedule".into(), ..Taint::default() };
    if !node.unschedulable || is_tolerated(&taint, tolerations(candidate.pod)) {
        return Vec::new();
    }
    vec![Rejection::new("node(s) were unschedulable", "spec.unschedulable is true")]
}

/// Every taint that keeps pods away must be tolerated.
pub(super) fn taints(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<Rejection> {
    let untolerated = node
        .taints
        .iter()
        .filter(|taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute")
        .find(|taint| !is_tolerated(taint, tolerations(candidate.pod)));
    match untolerated {
        Some(taint) => vec![Rejection::new(
            format!("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value),
            format!("taint {}={}:{} is not tolerated", taint.key, taint.value, taint.effect),
        )],
        None => Vec::new(),
    }
}

/// The tolerations of a pod.
pub(crate) fn tolerations(pod: &Pod) -> &[Toleration] {
    pod.spec.as_ref().map_or(&[], |spec| &spec.tolerations)
}

/// Whether one of `tolerations` tolerates `taint`.
pub(crate) fn is_tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| {
        (toleration.effect.is_empty() || toleration.effect == taint.effect)
            && (toleration.key.is_empty() || toleration.key == taint.key)
            && match toleration.operator.as_str() {
                "Exists" => true,
                // An empty key needs Exists.
                "" | "Equal" => !toleration.key.is_empty() && toleration.value == taint.value,
                _ => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::{Taint, Toleration};

    use super::is_tolerated;

    #[test]
    fn tolerations_match_as_documented() {
        let taint =
            Taint { key: "k".into(), value: "v".into(), effect: "NoSchedule".into(), ..Taint::default() };
        let toleration = |key: &str, operator: &str, value: &str, effect: &str| Toleration {
            key: key.into(),
            operator: operator.into(),
            value: value.into(),
            effect: effect.into(),
            ..Toleration::default()
        };
        for (toleration, expected) in [
            (toleration("k", "Equal", "v", "NoSchedule"), true),
            (toleration("k", "", "v", ""), true),
            (toleration("k", "Exists", "", ""), true),
            (toleration("", "Exists", "", ""), true),
            (toleration("", "Equal", "v", ""), false),
            (toleration("k", "Equal", "other", ""), false),
            (toleration("k", "Exists", "", "NoExecute"), false),
            (toleration("other", "Exists", "", ""), false),
        ] {
            assert_eq!(is_tolerated(&taint, std::slice::from_ref(&toleration)), expected, "{toleration:?}");
        }
    }
}
