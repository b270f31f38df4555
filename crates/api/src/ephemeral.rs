//! Ephemeral containers as ordinary ones: they have the same fields, though not all of them may be set.

use prost::Message as _;

use crate::core::v1::{Container, EphemeralContainer, PodSpec};

/// The container that an ephemeral one is.
#[must_use]
pub fn container(ephemeral: &EphemeralContainer) -> Container {
    let common = ephemeral.ephemeral_container_common.as_ref();
    // The fields of both have the same numbers and types.
    common.and_then(|common| Container::decode(common.encode_to_vec().as_slice()).ok()).unwrap_or_default()
}

/// The ephemeral containers of a pod.
#[must_use]
pub fn containers(spec: &PodSpec) -> Vec<Container> {
    spec.ephemeral_containers.iter().map(container).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_a_container() {
        let json = r#"{"name":"d","image":"i","command":["sh"],"args":["-c"],"workingDir":"/w","stdin":true,
            "stdinOnce":true,"tty":true,"env":[{"name":"A","value":"b"}],"imagePullPolicy":"Always",
            "terminationMessagePath":"/t","terminationMessagePolicy":"File","resources":{},
            "volumeMounts":[{"name":"v","mountPath":"/v"}],"securityContext":{"privileged":true}}"#;
        let ephemeral: EphemeralContainer = serde_json::from_str(json).unwrap();
        let wanted: Container = serde_json::from_str(json).unwrap();
        assert_eq!(container(&ephemeral), wanted);
    }
}
