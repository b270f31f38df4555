//! Attachments of volumes to nodes.

use super::{
    common::{check, enumerated, immutable, required},
    csi::driver_name,
    names,
};
use crate::core::v1::PersistentVolumeSpec;
use crate::field::{Error, ErrorList, Path};
use crate::storage::v1::{
    VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentSpec, VolumeAttachmentStatus, VolumeError,
};

/// What the driver says of an attachment, names and values.
const METADATA_SIZE: usize = 256 << 10;
const MESSAGE_MAX: usize = 1024;
const NOT_INLINE: &str = "may not be specified in the context of inline volumes";
const ONE_SOURCE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";

/// A new attachment: stricter than one that is there.
pub(crate) fn attachment(attachment: &VolumeAttachment) -> ErrorList {
    let mut errors = general(attachment);
    let spec = attachment.spec.clone().unwrap_or_default();
    driver_name(&mut errors, &spec.attacher, &Path::new("spec.attacher"));
    if let Some(name) = spec.source.and_then(|source| source.persistent_volume_name) {
        let path = Path::new("spec.source.persistentVolumeName");
        check(&mut errors, &path, &name, names::dns1123_subdomain(&name));
    }
    errors
}

/// The object or its status: what is attached where does not change.
pub(crate) fn update(new: &VolumeAttachment, old: &VolumeAttachment) -> ErrorList {
    let mut errors = general(new);
    immutable(&mut errors, &Path::new("spec"), &new.spec, &old.spec);
    errors
}

fn general(attachment: &VolumeAttachment) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = VolumeAttachmentSpec::default();
    let spec = attachment.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    required(&mut errors, &path.child("attacher"), &spec.attacher);
    let nothing = VolumeAttachmentSource::default();
    source(&mut errors, spec.source.as_ref().unwrap_or(&nothing), &path.child("source"));
    let node = &spec.node_name;
    check(&mut errors, &path.child("nodeName"), node, names::dns1123_subdomain(node));
    if let Some(state) = &attachment.status {
        status(&mut errors, state, &Path::new("status"));
    }
    errors
}

fn source(errors: &mut ErrorList, source: &VolumeAttachmentSource, path: &Path) {
    match (&source.persistent_volume_name, &source.inline_volume_spec) {
        (None, None) => errors.push(Error::required(path.clone(), ONE_SOURCE)),
        (Some(_), Some(_)) => errors.push(Error::forbidden(path.clone(), ONE_SOURCE)),
        (Some(name), None) if name.is_empty() => {
            let detail = "must specify non empty persistentVolumeName";
            errors.push(Error::required(path.child("persistentVolumeName"), detail));
        }
        (Some(_), None) => {}
        (None, Some(volume)) => inline(errors, volume, &path.child("inlineVolumeSpec")),
    }
}

/// A volume of a pod: of CSI, and without what only a persistent volume has.
fn inline(errors: &mut ErrorList, spec: &PersistentVolumeSpec, path: &Path) {
    let forbidden = |errors: &mut ErrorList, field: &str, given: bool| {
        if given {
            errors.push(Error::forbidden(path.child(field), NOT_INLINE));
        }
    };
    forbidden(errors, "claimRef", spec.claim_ref.is_some());
    forbidden(errors, "capacity", !spec.capacity.is_empty());
    let csi = spec.persistent_volume_source.as_ref().and_then(|source| source.csi.as_ref());
    if csi.is_none() {
        let detail = "has to be specified in the context of inline volumes";
        errors.push(Error::required(path.child("csi"), detail));
    }
    let modes = path.child("accessModes");
    if spec.access_modes.is_empty() {
        errors.push(Error::required(modes.clone(), ""));
    }
    for mode in &spec.access_modes {
        enumerated(errors, &modes, mode, "core.v1.PersistentVolumeSpec.accessModes");
    }
    if !matches!(spec.persistent_volume_reclaim_policy.as_str(), "" | "Retain") {
        let detail = "may only be Retain in the context of inline volumes";
        errors.push(Error::forbidden(path.child("persistentVolumeReclaimPolicy"), detail));
    }
    forbidden(errors, "nodeAffinity", spec.node_affinity.is_some());
    if let Some(csi) = csi {
        let path = path.child("csi");
        driver_name(errors, &csi.driver, &path.child("driver"));
        required(errors, &path.child("volumeHandle"), &csi.volume_handle);
    }
    forbidden(errors, "storageClassName", !spec.storage_class_name.is_empty());
    if spec.volume_mode.as_deref().is_some_and(|mode| mode != "Filesystem") {
        let detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.push(Error::forbidden(path.child("volumeMode"), detail));
    }
}

fn status(errors: &mut ErrorList, status: &VolumeAttachmentStatus, path: &Path) {
    let size: usize = status.attachment_metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > METADATA_SIZE {
        errors.push(Error::too_long(path.child("attachmentMetadata"), METADATA_SIZE));
    }
    for (field, error) in [("attachError", &status.attach_error), ("detachError", &status.detach_error)] {
        if let Some(error) = error {
            failure(errors, error, &path.child(field));
        }
    }
}

fn failure(errors: &mut ErrorList, error: &VolumeError, path: &Path) {
    if error.message.len() > MESSAGE_MAX {
        // The bound that upstream names here is another one than that which it checks.
        errors.push(Error::too_long(path.child("message"), METADATA_SIZE));
    }
    if let Some(code) = error.error_code.filter(|code| *code < 0) {
        let detail = "must be between 0 and 2147483647, inclusive";
        errors.push(Error::invalid(path.child("errorCode"), code, detail));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(object: Value) -> VolumeAttachment {
        serde_json::from_value(object).unwrap()
    }

    fn with_source(source: Value) -> Vec<String> {
        texts(&attachment(&of(json!({ "spec": { "attacher": "a.b", "nodeName": "n", "source": source } }))))
    }

    #[test]
    fn a_volume_is_attached_to_a_node() {
        assert_eq!(with_source(json!({ "persistentVolumeName": "pv" })), Vec::<String>::new());
        let errors = texts(&attachment(&VolumeAttachment::default()));
        assert_eq!(errors[0], "spec.attacher: Required value");
        assert_eq!(errors[1], format!("spec.source: Required value: {ONE_SOURCE}"));
        assert!(
            errors[2].starts_with("spec.nodeName: Invalid value: \"\": a lowercase RFC 1123"),
            "{errors:?}"
        );
        assert_eq!(
            with_source(json!({ "persistentVolumeName": "pv", "inlineVolumeSpec": {} })),
            [format!("spec.source: Forbidden: {ONE_SOURCE}")]
        );
        assert_eq!(
            with_source(json!({ "persistentVolumeName": "" }))[0],
            "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName"
        );
    }

    #[test]
    fn an_inline_volume_is_of_csi() {
        let good =
            json!({ "accessModes": ["ReadWriteOnce"], "csi": { "driver": "a.b", "volumeHandle": "h" } });
        assert_eq!(with_source(json!({ "inlineVolumeSpec": good })), Vec::<String>::new());
        let at = "spec.source.inlineVolumeSpec";
        assert_eq!(
            with_source(json!({ "inlineVolumeSpec": {
                "claimRef": {}, "capacity": { "storage": "1" }, "persistentVolumeReclaimPolicy": "Delete",
                "nodeAffinity": {}, "storageClassName": "c", "volumeMode": "Block",
            } })),
            [
                format!("{at}.claimRef: Forbidden: {NOT_INLINE}"),
                format!("{at}.capacity: Forbidden: {NOT_INLINE}"),
                format!("{at}.csi: Required value: has to be specified in the context of inline volumes"),
                format!("{at}.accessModes: Required value"),
                format!(
                    "{at}.persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline \
                     volumes"
                ),
                format!("{at}.nodeAffinity: Forbidden: {NOT_INLINE}"),
                format!("{at}.storageClassName: Forbidden: {NOT_INLINE}"),
                format!(
                    "{at}.volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of \
                     inline volumes"
                ),
            ]
        );
    }

    #[test]
    fn only_the_status_changes() {
        let source = json!({ "persistentVolumeName": "pv" });
        let object = |node: &str, status: Value| {
            of(json!({ "spec": { "attacher": "a", "nodeName": node, "source": source }, "status": status }))
        };
        let old = object("n", json!({}));
        assert_eq!(update(&object("n", json!({ "attached": true })), &old), []);
        assert_eq!(
            texts(&update(&object("m", json!({})), &old)),
            [
                "spec: Invalid value: {\"attacher\":\"a\",\"nodeName\":\"m\",\"source\":{\"persistentVolumeName\":\
                 \"pv\"}}: field is immutable"
            ]
        );
        let failed = json!({
            "attachmentMetadata": { "a": "x".repeat(256 << 10) },
            "attachError": { "message": "x".repeat(1025), "errorCode": -1 },
        });
        assert_eq!(
            texts(&update(&object("n", failed), &old)),
            [
                "status.attachmentMetadata: Too long: may not be more than 262144 bytes",
                "status.attachError.message: Too long: may not be more than 262144 bytes",
                "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ]
        );
    }
}
