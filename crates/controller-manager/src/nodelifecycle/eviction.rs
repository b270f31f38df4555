//! How long a pod bears a node's taints.

use gantry_api::core::v1::{Node, Taint, Toleration};
use gantry_api::scalars::Time;
use jiff::{SignedDuration, Timestamp};

use crate::pod::Pod;

/// How long a pod stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It must go now.
    None,
    /// It must go then.
    Until(Timestamp),
    /// It stays.
    Endless,
}

/// How long a pod stays on a node: until the first of its bounded tolerations ends, counted from when the taint came.
pub(super) fn patience(pod: &Pod, node: &Node) -> Patience {
    let tolerations = pod.spec.as_ref().map(|spec| spec.tolerations.as_slice()).unwrap_or_default();
    let mut end: Option<Timestamp> = None;
    let evicting = node.spec.iter().flat_map(|spec| &spec.taints).filter(|taint| taint.effect == "NoExecute");
    for taint in evicting {
        let mut tolerated = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).peekable();
        if tolerated.peek().is_none() {
            return Patience::None;
        }
        let Some(seconds) = tolerated.filter_map(|toleration| toleration.toleration_seconds).min() else {
            continue;
        };
        let since = taint.time_added.as_ref().and_then(Time::timestamp).unwrap_or(Timestamp::UNIX_EPOCH);
        let until = since.checked_add(SignedDuration::from_secs(seconds.max(0))).unwrap_or(Timestamp::MAX);
        end = Some(end.map_or(until, |end| end.min(until)));
    }
    end.map_or(Patience::Endless, Patience::Until)
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let key = toleration.key.is_empty() || toleration.key == taint.key;
    let value = match toleration.operator.as_str() {
        "Exists" => true,
        "" | "Equal" => toleration.value == taint.value && !toleration.key.is_empty(),
        _ => false,
    };
    effect && key && value
}

#[cfg(test)]
mod tests {
    use super::{Patience, patience};
    use crate::pod::Pod;
    use gantry_api::core::v1::{Node, Taint, Toleration};
    use gantry_api::scalars::Time;
    use jiff::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn node() -> Node {
        let mut node = Node::default();
        node.spec.get_or_insert_default().taints = vec![Taint {
            key: "node.kubernetes.io/unreachable".into(),
            effect: "NoExecute".into(),
            time_added: Some(Time::from(at(100))),
            ..Default::default()
        }];
        node
    }

    fn pod(tolerations: &[(&str, Option<i64>)]) -> Pod {
        let mut pod = Pod::default();
        pod.spec.get_or_insert_default().tolerations = tolerations
            .iter()
            .map(|(key, seconds)| Toleration {
                key: (*key).into(),
                operator: "Exists".into(),
                effect: "NoExecute".into(),
                toleration_seconds: *seconds,
                ..Default::default()
            })
            .collect();
        pod
    }

    #[test]
    fn tolerations_bound_the_stay() {
        let unreachable = "node.kubernetes.io/unreachable";
        assert_eq!(patience(&pod(&[]), &node()), Patience::None);
        assert_eq!(patience(&pod(&[]), &Node::default()), Patience::Endless);
        assert_eq!(patience(&pod(&[(unreachable, Some(300))]), &node()), Patience::Until(at(400)));
        assert_eq!(patience(&pod(&[(unreachable, None)]), &node()), Patience::Endless);
        assert_eq!(patience(&pod(&[("", None)]), &node()), Patience::Endless);
        assert_eq!(patience(&pod(&[("other", None)]), &node()), Patience::None);
    }
}
