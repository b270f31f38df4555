//! What every pod gets: tolerations for nodes that are not well for a while, and its account under both names.

use gantry_api::core::v1::{Pod, Toleration};

use crate::verbs::Tolerations;

/// Takes the account from the field's old name, where only that is set.
pub(super) fn read_account(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    if spec.service_account_name.is_empty() {
        spec.service_account_name.clone_from(&spec.service_account);
    }
}

/// Writes the account under the field's old name, too.
pub(super) fn write_account(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    spec.service_account.clone_from(&spec.service_account_name);
}

/// Lets a new pod stay for a while on nodes that are not well.
pub(super) fn tolerate(pod: &mut Pod, seconds: Tolerations) {
    let spec = pod.spec.get_or_insert_default();
    for (key, seconds) in [
        ("node.kubernetes.io/not-ready", seconds.not_ready),
        ("node.kubernetes.io/unreachable", seconds.unreachable),
    ] {
        let tolerated = spec.tolerations.iter().any(|toleration| tolerates(toleration, key));
        if !tolerated {
            spec.tolerations.push(Toleration {
                key: key.to_owned(),
                operator: "Exists".to_owned(),
                effect: "NoExecute".to_owned(),
                toleration_seconds: Some(seconds),
                ..Toleration::default()
            });
        }
    }
}

fn tolerates(toleration: &Toleration, key: &str) -> bool {
    (toleration.key == key || toleration.key.is_empty())
        && matches!(toleration.effect.as_str(), "NoExecute" | "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_tolerations_are_kept() {
        let mut pod = Pod::default();
        let own = Toleration {
            key: "node.kubernetes.io/not-ready".into(),
            operator: "Exists".into(),
            effect: "NoExecute".into(),
            toleration_seconds: Some(5),
            ..Toleration::default()
        };
        pod.spec.get_or_insert_default().tolerations.push(own.clone());
        let seconds = Tolerations { not_ready: 7, unreachable: 9 };
        tolerate(&mut pod, seconds);
        tolerate(&mut pod, seconds);
        let spec = pod.spec.unwrap();
        assert_eq!(spec.tolerations.len(), 2);
        assert_eq!(spec.tolerations[0], own);
        assert_eq!(spec.tolerations[1].key, "node.kubernetes.io/unreachable");
        assert_eq!(spec.tolerations[1].toleration_seconds, Some(9));
    }

    #[test]
    fn the_account_has_two_names() {
        let mut pod = Pod::default();
        pod.spec.get_or_insert_default().service_account = "robot".into();
        read_account(&mut pod);
        assert_eq!(pod.spec.clone().unwrap().service_account_name, "robot");
        pod.spec.get_or_insert_default().service_account_name = "other".into();
        read_account(&mut pod);
        write_account(&mut pod);
        assert_eq!(pod.spec.unwrap().service_account, "other");
    }
}
