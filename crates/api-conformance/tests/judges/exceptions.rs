//! Where the schema and a judge are meant to differ. Each entry is checked to be still true.

/// Fields that protobuf's judge (Kubernetes 1.35) and the schema have, and Kubernetes 1.36 has no more: objects that
/// were stored with them keep them.
pub(crate) const GONE_FROM_JSON: &[&str] = &["k8s.io.api.core.v1.PodSpec.workloadRef"];

/// Fields, by the names that JSON's judge gives to type and field, that only Kubernetes 1.36 has. Their place on the
/// wire is not known for certain, and a wrong number would read other data as theirs; so the schema leaves them out.
pub(crate) const NUMBER_UNKNOWN: &[(&str, &str)] = &[
    ("CSIDriverSpec", "preventPodSchedulingIfMissing"),
    ("Device", "nodeAllocatableResourceMappings"),
    ("DeviceAttribute", "bools"),
    ("DeviceAttribute", "ints"),
    ("DeviceAttribute", "strings"),
    ("DeviceAttribute", "versions"),
    ("PodSpec", "schedulingGroup"),
    ("PodStatus", "nodeAllocatableResourceClaimStatuses"),
    ("ResourceHealth", "message"),
    ("VolumeMountStatus", "volumeStatus"),
];

/// Rust's names of fields that a complete object leaves unset: a string has no number beside it, and an instant of
/// whole seconds no fraction.
pub(crate) const UNSET: &[&str] = &["intval", "nanos"];

/// The one field whose messages are within themselves: only the outermost is complete.
pub(crate) const RECURSIVE: &str = ".openapiv3schema.";
