//! The metadata that all kinds share.

use std::collections::BTreeMap;

use super::{
    common::{NON_NEGATIVE, check, immutable, required, shown},
    managers,
    names::{self, Problems},
};
use crate::Kind;
use crate::field::{Error, ErrorList, Path};
use crate::meta::v1::{ObjectMeta, OwnerReference};

/// All annotations of an object together, keys and values.
const ANNOTATIONS_MAX: usize = 256 << 10;

/// Every rule that the metadata of a new object of this kind breaks.
///
/// A name that is to be generated must have been generated before; the prefix is checked too.
#[must_use]
pub fn object_meta(kind: &Kind, meta: &ObjectMeta) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("metadata");
    if !meta.generate_name.is_empty() {
        // A trailing dash is fine there, since a suffix follows.
        let prefix = meta.generate_name.strip_suffix('-').map(|name| format!("{name}a"));
        let problems = name_problems(kind, prefix.as_deref().unwrap_or(&meta.generate_name));
        check(&mut errors, &path.child("generateName"), &meta.generate_name, problems);
    }
    if meta.name.is_empty() {
        errors.push(Error::required(path.child("name"), "name or generateName is required"));
    } else {
        check(&mut errors, &path.child("name"), &meta.name, name_problems(kind, &meta.name));
    }
    namespace(&mut errors, kind, meta, &path.child("namespace"));
    general(&mut errors, meta, &path);
    errors
}

/// Every rule that the change of the metadata breaks, those of [`object_meta`] included.
#[must_use]
pub fn object_meta_update(kind: &Kind, new: &ObjectMeta, old: &ObjectMeta) -> ErrorList {
    let mut errors = object_meta(kind, new);
    let path = Path::new("metadata");
    immutable(&mut errors, &path.child("name"), &new.name, &old.name);
    immutable(&mut errors, &path.child("namespace"), &new.namespace, &old.namespace);
    immutable(&mut errors, &path.child("uid"), &new.uid, &old.uid);
    immutable(
        &mut errors,
        &path.child("creationTimestamp"),
        &new.creation_timestamp,
        &old.creation_timestamp,
    );
    if old.deletion_timestamp.is_some() {
        immutable(
            &mut errors,
            &path.child("deletionTimestamp"),
            &new.deletion_timestamp,
            &old.deletion_timestamp,
        );
        let added: Vec<&String> = new.finalizers.iter().filter(|f| !old.finalizers.contains(f)).collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            errors.push(Error::forbidden(path.child("finalizers"), detail));
        }
    }
    if new.generation < old.generation {
        errors.push(Error::invalid(path.child("generation"), new.generation, "must not be decremented"));
    }
    errors
}

fn name_problems(kind: &Kind, name: &str) -> Problems {
    match (kind.group, kind.kind) {
        ("", "Namespace") => names::dns1123_label(name),
        ("", "Service") => names::dns1035_label(name),
        // Recorders put anything there that fits into a path.
        ("" | "events.k8s.io", "Event") => names::path_segment(name),
        ("networking.k8s.io", "IPAddress") => super::addresses::canonical_ip(name),
        // Names of roles may have colons, as `system:node` has.
        ("rbac.authorization.k8s.io", _) => names::path_segment(name),
        ("certificates.k8s.io", "CertificateSigningRequest") => names::path_segment(name),
        // What more there is to it follows from the spec.
        ("apiregistration.k8s.io", "APIService") => names::path_segment(name),
        _ => names::dns1123_subdomain(name),
    }
}

fn namespace(errors: &mut ErrorList, kind: &Kind, meta: &ObjectMeta, path: &Path) {
    match (kind.namespaced(), meta.namespace.as_str()) {
        (true, "") => errors.push(Error::required(path.clone(), "")),
        (true, namespace) => check(errors, path, namespace, names::dns1123_label(namespace)),
        (false, "") => {}
        (false, _) => errors.push(Error::forbidden(path.clone(), "not allowed on this type")),
    }
}

fn general(errors: &mut ErrorList, meta: &ObjectMeta, path: &Path) {
    if meta.generation < 0 {
        errors.push(Error::invalid(path.child("generation"), meta.generation, NON_NEGATIVE));
    }
    labels(errors, &meta.labels, &path.child("labels"));
    annotations(errors, &meta.annotations, &path.child("annotations"));
    owners(errors, &meta.owner_references, &path.child("ownerReferences"));
    finalizers(errors, &meta.finalizers, &path.child("finalizers"));
    managers::entries(errors, &meta.managed_fields, &path.child("managedFields"));
}

/// Labels: of an object, of a pod template, of a selector.
pub fn labels(errors: &mut ErrorList, labels: &BTreeMap<String, String>, path: &Path) {
    for (key, value) in labels {
        check(errors, path, key, names::qualified_name(key));
        check(errors, path, value, names::label_value(value));
    }
}

/// Annotations: any values, but not too many of them.
pub fn annotations(errors: &mut ErrorList, annotations: &BTreeMap<String, String>, path: &Path) {
    let mut size = 0;
    for (key, value) in annotations {
        // Capitals are allowed in the prefix, for historical reasons.
        check(errors, path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_MAX {
        errors.push(Error::too_long(path.clone(), ANNOTATIONS_MAX));
    }
}

fn owners(errors: &mut ErrorList, owners: &[OwnerReference], path: &Path) {
    let mut controller: Option<&OwnerReference> = None;
    for (i, owner) in owners.iter().enumerate() {
        let path_of_owner = path.index(i);
        if owner.api_version.rsplit('/').next().is_none_or(str::is_empty) {
            let version = path_of_owner.child("apiVersion");
            errors.push(Error::invalid(version, owner.api_version.as_str(), "version must not be empty"));
        }
        let texts = [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)];
        for (field, _) in texts.iter().filter(|(_, text)| text.is_empty()) {
            errors.push(Error::invalid(path_of_owner.child(field), "", "must not be empty"));
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(Error::invalid(path_of_owner, shown(owner), detail));
        }
        if owner.controller != Some(true) {
            continue;
        }
        if let Some(first) = controller {
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                first.name, owner.name
            );
            errors.push(Error::invalid(path.clone(), shown(owners), detail));
        }
        controller = Some(owner);
    }
}

fn finalizers(errors: &mut ErrorList, finalizers: &[String], path: &Path) {
    for finalizer in finalizers {
        check(errors, path, finalizer, names::qualified_name(finalizer));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(Error::invalid(path.clone(), shown(finalizers), detail));
    }
}

/// A reference to another object by its name alone.
pub(crate) fn local_reference(errors: &mut ErrorList, reference: Option<&str>, path: &Path) {
    required(errors, &path.child("name"), reference.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::super::common::texts;
    use super::*;
    use crate::Resource as _;
    use crate::core::v1::{Namespace, Pod, Service};

    fn meta() -> ObjectMeta {
        ObjectMeta { name: "web".into(), namespace: "default".into(), ..ObjectMeta::default() }
    }

    #[test]
    fn a_name_is_required_and_has_a_syntax() {
        let unnamed = ObjectMeta { name: String::new(), ..meta() };
        let errors = object_meta(Pod::kind(), &unnamed);
        assert_eq!(texts(&errors), ["metadata.name: Required value: name or generateName is required"]);
        let upper = ObjectMeta { name: "Web".into(), ..meta() };
        assert_eq!(object_meta(Pod::kind(), &upper).len(), 1);
        let dotted = ObjectMeta { name: "a.b".into(), ..meta() };
        assert_eq!(object_meta(Pod::kind(), &dotted), []);
        assert_eq!(object_meta(Service::kind(), &dotted).len(), 1);
        let generated = ObjectMeta { generate_name: "web-".into(), name: "web-x7k".into(), ..meta() };
        assert_eq!(object_meta(Pod::kind(), &generated), []);
    }

    #[test]
    fn the_namespace_follows_the_scope() {
        let errors = object_meta(Pod::kind(), &ObjectMeta { namespace: String::new(), ..meta() });
        assert_eq!(texts(&errors), ["metadata.namespace: Required value"]);
        let errors = object_meta(Namespace::kind(), &meta());
        assert_eq!(texts(&errors), ["metadata.namespace: Forbidden: not allowed on this type"]);
    }

    #[test]
    fn labels_and_annotations_are_checked_all_at_once() {
        let wrong = ObjectMeta {
            labels: [("a b".into(), "x".into()), ("ok".into(), "-".into())].into(),
            annotations: [("/x".into(), "anything goes".into())].into(),
            ..meta()
        };
        let errors = object_meta(Pod::kind(), &wrong);
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["metadata.labels", "metadata.labels", "metadata.annotations"]);
        let large = ObjectMeta { annotations: [("a".into(), "x".repeat(256 << 10))].into(), ..meta() };
        let errors = object_meta(Pod::kind(), &large);
        assert_eq!(texts(&errors), ["metadata.annotations: Too long: may not be more than 262144 bytes"]);
    }

    #[test]
    fn one_owner_controls() {
        let owner = |name: &str| OwnerReference {
            api_version: "apps/v1".into(),
            kind: "ReplicaSet".into(),
            name: name.into(),
            uid: "1".into(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let one = ObjectMeta { owner_references: vec![owner("a")], ..meta() };
        assert_eq!(object_meta(Pod::kind(), &one), []);
        let two = ObjectMeta { owner_references: vec![owner("a"), owner("b")], ..meta() };
        assert_eq!(object_meta(Pod::kind(), &two).len(), 1);
        let nobody = ObjectMeta { owner_references: vec![OwnerReference::default()], ..meta() };
        assert_eq!(object_meta(Pod::kind(), &nobody).len(), 4);
    }

    #[test]
    fn identity_does_not_change() {
        let old = ObjectMeta { uid: "1".into(), generation: 3, ..meta() };
        let new = ObjectMeta { uid: "2".into(), generation: 2, ..meta() };
        assert_eq!(
            texts(&object_meta_update(Pod::kind(), &new, &old)),
            [
                "metadata.uid: Invalid value: \"2\": field is immutable",
                "metadata.generation: Invalid value: 2: must not be decremented",
            ]
        );
    }
}
