//! How the kubelet finds its containers again: labels that say what they are.

use std::collections::BTreeMap;

use gantry_container_runtime::ContainerStatus;
use uuid::Uuid;

/// The pod's UID.
pub const POD_UID: &str = "io.kubernetes.pod.uid";
/// The pod's name.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
/// The pod's namespace.
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// The container's name in the pod.
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
/// How often the container had been started before this instance.
pub const ATTEMPT: &str = "gantry.dev/attempt";
/// How many instances before this one ended soon after their start, one after the other.
pub const CRASHES: &str = "gantry.dev/crashes";
/// The image as the pod names it.
pub const IMAGE: &str = "gantry.dev/image";
/// Where the container writes its last words, on the host.
pub const TERMINATION_LOG: &str = "gantry.dev/termination-log";

/// An id for one attempt to start a container, unlike any other: what becomes of an attempt that was cut off is thus
/// never taken for the one that follows it.
#[must_use]
pub fn new_container_id() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// What a container's labels say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The pod's UID.
    pub pod_uid: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container's name in the pod.
    pub container: String,
    /// How often the container had been started before.
    pub attempt: u32,
    /// How many instances before this one crashed in a row.
    pub crashes: u32,
    /// The image as the pod names it.
    pub image: String,
}

impl Identity {
    /// Reads the labels; `None` for a container that no kubelet made.
    #[must_use]
    pub fn of(status: &ContainerStatus) -> Option<Self> {
        let label = |key: &str| status.labels.get(key).cloned();
        Some(Self {
            pod_uid: label(POD_UID)?,
            namespace: label(POD_NAMESPACE)?,
            pod: label(POD_NAME)?,
            container: label(CONTAINER_NAME)?,
            attempt: label(ATTEMPT)?.parse().ok()?,
            crashes: label(CRASHES).and_then(|text| text.parse().ok()).unwrap_or_default(),
            image: label(IMAGE).unwrap_or_default(),
        })
    }

    /// The labels that say this.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            (POD_UID, self.pod_uid.clone()),
            (POD_NAMESPACE, self.namespace.clone()),
            (POD_NAME, self.pod.clone()),
            (CONTAINER_NAME, self.container.clone()),
            (ATTEMPT, self.attempt.to_string()),
            (CRASHES, self.crashes.to_string()),
            (IMAGE, self.image.clone()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use gantry_container_runtime::ContainerState;

    use super::*;

    #[test]
    fn labels_say_what_they_were_made_from() {
        let identity = Identity {
            pod_uid: "u".into(),
            namespace: "default".into(),
            pod: "web-0".into(),
            container: "web".into(),
            attempt: 3,
            crashes: 2,
            image: "web:1".into(),
        };
        let status = ContainerStatus {
            id: new_container_id(),
            image: String::new(),
            image_id: String::new(),
            labels: identity.labels(),
            created_at: SystemTime::UNIX_EPOCH,
            state: ContainerState::Created,
        };
        assert_eq!(Identity::of(&status), Some(identity));
        assert_eq!(status.id.len(), 64);
    }

    #[test]
    fn a_foreign_container_has_no_identity() {
        let status = ContainerStatus {
            id: "x".into(),
            image: String::new(),
            image_id: String::new(),
            labels: BTreeMap::new(),
            created_at: SystemTime::UNIX_EPOCH,
            state: ContainerState::Created,
        };
        assert_eq!(Identity::of(&status), None);
    }
}
