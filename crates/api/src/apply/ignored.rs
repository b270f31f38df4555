//! The fields that a write cannot own: those that it leaves alone, and those that name the object.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::element::Path;
use super::set::Set;
use crate::{Kind, Subresource, registry};

/// What identifies an object, or is the server's alone: nobody owns it.
pub(super) static SERVERS: LazyLock<Set> = LazyLock::new(|| {
    let of_metadata = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let paths = of_metadata.iter().map(|name| Path::fields(&["metadata", name]));
    Set::of(paths.chain([
        Path::fields(&["apiVersion"]),
        Path::fields(&["kind"]),
        Path::fields(&["metadata"]),
    ]))
});

/// The set without what nobody owns.
pub(super) fn strip(mut set: Set) -> Set {
    set.subtract(&SERVERS);
    set
}

/// The entries of owners, which nobody owns either.
pub(super) static OWNERS: LazyLock<Set> =
    LazyLock::new(|| Set::of([Path::fields(&["metadata", "managedFields"])]));

static NOTHING: Set = Set::new();

/// The parts of custom resources that have a status.
static SPEC: LazyLock<Set> = LazyLock::new(|| Set::of([Path::fields(&["spec"])]));
static STATUS: LazyLock<Set> = LazyLock::new(|| Set::of([Path::fields(&["status"])]));

static IGNORED: LazyLock<HashMap<(&'static str, &'static str), Set>> = LazyLock::new(|| {
    let mut all = HashMap::new();
    for kind in registry::all() {
        let parts = [Subresource::Status, Subresource::Finalize, Subresource::Approval];
        for subresource in std::iter::once("").chain(parts.map(Subresource::name)) {
            all.insert((kind.message, subresource), Set::of(reset(kind, subresource)));
        }
    }
    all
});

/// What a write of the object, or of its subresource, does not change: who writes it does not own it.
pub(super) fn ignored(kind: &Kind, subresource: &'static str) -> &'static Set {
    if kind.is_custom() {
        return match subresource {
            _ if !kind.has(Subresource::Status) => &NOTHING,
            "status" => &SPEC,
            _ => &STATUS,
        };
    }
    IGNORED.get(&(kind.message, subresource)).unwrap_or(&NOTHING)
}

fn reset(kind: &Kind, subresource: &str) -> Vec<Path> {
    let spec = || Path::fields(&["spec"]);
    match (kind.kind, subresource) {
        _ if !kind.has(Subresource::Status) => Vec::new(),
        ("Pod", "status") => vec![
            spec(),
            Path::fields(&["metadata", "deletionTimestamp"]),
            Path::fields(&["metadata", "ownerReferences"]),
        ],
        ("Deployment", "status") => vec![spec(), Path::fields(&["metadata", "labels"])],
        (
            "VolumeAttachment"
            | "FlowSchema"
            | "PriorityLevelConfiguration"
            | "ValidatingAdmissionPolicy"
            | "ResourceClaim"
            | "APIService",
            "status",
        ) => vec![spec(), Path::fields(&["metadata"])],
        ("CertificateSigningRequest", "status") => vec![spec(), Path::fields(&["status", "conditions"])],
        (_, "approval") => vec![spec(), Path::fields(&["status", "certificate"])],
        (_, "status") => vec![spec()],
        _ => vec![Path::fields(&["status"])],
    }
}
