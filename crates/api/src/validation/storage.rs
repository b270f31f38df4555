//! Persistent volumes and claims.

use std::cmp::Ordering;

use super::{
    common::{check, enumerated, immutable, required, shown},
    names, pod, selector,
};
use crate::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSource,
    PersistentVolumeSpec,
};
use crate::field::{Error, ErrorList, Path};
use crate::scalars::Quantity;

fn access_modes(errors: &mut ErrorList, modes: &[String], path: &Path) {
    let path = path.child("accessModes");
    if modes.is_empty() {
        errors.push(Error::required(path, "at least 1 access mode is required"));
        return;
    }
    for mode in modes {
        enumerated(errors, &path, mode, "core.v1.PersistentVolumeClaimSpec.accessModes");
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        let detail = "may not use ReadWriteOncePod with other access modes";
        errors.push(Error::forbidden(path, detail));
    }
}

/// An amount of storage: given, known and above zero.
fn storage_amount(errors: &mut ErrorList, amount: Option<&Quantity>, path: &Path) {
    let Some(amount) = amount else {
        errors.push(Error::required(path.clone(), ""));
        return;
    };
    pod::quantity(errors, amount, path);
    if amount.nanos().is_ok_and(|nanos| nanos == 0) {
        errors.push(Error::invalid(path.clone(), amount.to_string(), "must be greater than zero"));
    }
}

pub(crate) fn claim(claim: &PersistentVolumeClaim) -> ErrorList {
    let mut errors = ErrorList::new();
    claim_spec(&mut errors, claim.spec.as_ref(), &Path::new("spec"));
    errors
}

/// A claim's spec, also that of a template.
pub(crate) fn claim_spec(errors: &mut ErrorList, spec: Option<&PersistentVolumeClaimSpec>, path: &Path) {
    let empty = PersistentVolumeClaimSpec::default();
    let spec = spec.unwrap_or(&empty);
    access_modes(errors, &spec.access_modes, path);
    if let Some(labels) = &spec.selector {
        selector::validate(errors, labels, &path.child("selector"));
    }
    let requests = spec.resources.as_ref().map(|resources| &resources.requests);
    let storage = requests.and_then(|requests| requests.get("storage"));
    storage_amount(errors, storage, &path.child("resources").child("requests").key("storage"));
    if let Some(class) = spec.storage_class_name.as_ref().filter(|class| !class.is_empty()) {
        check(errors, &path.child("storageClassName"), class, names::dns1123_subdomain(class));
    }
    if let Some(mode) = &spec.volume_mode {
        enumerated(errors, &path.child("volumeMode"), mode, "core.v1.PersistentVolumeClaimSpec.volumeMode");
    }
    if let Some(source) = &spec.data_source {
        let path = path.child("dataSource");
        required(errors, &path.child("name"), &source.name);
        required(errors, &path.child("kind"), &source.kind);
    }
}

const CLAIM_ONLY: &str = "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                          bound claims";

pub(crate) fn claim_update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> ErrorList {
    let mut errors = claim(new);
    let bound = old.status.as_ref().is_some_and(|status| status.phase == "Bound");
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return errors };
    let path = Path::new("spec");
    let mut unchanged = new.clone();
    // The binder fills these two.
    if old.volume_name.is_empty() {
        unchanged.volume_name.clear();
    }
    if old.storage_class_name.is_none() {
        unchanged.storage_class_name = None;
    }
    if bound {
        unchanged.resources.clone_from(&old.resources);
        unchanged.volume_attributes_class_name.clone_from(&old.volume_attributes_class_name);
        let request =
            |spec: &PersistentVolumeClaimSpec| spec.resources.as_ref()?.requests.get("storage").cloned();
        let order = request(new).zip(request(old)).and_then(|(new, old)| new.compare(&old));
        if order == Some(Ordering::Less) {
            let path = path.child("resources").child("requests").child("storage");
            errors.push(Error::forbidden(path, "field can not be less than status.capacity"));
        }
    }
    if unchanged != *old {
        errors.push(Error::forbidden(path, CLAIM_ONLY));
    }
    errors
}

pub(crate) fn volume(volume: &PersistentVolume) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = PersistentVolumeSpec::default();
    let spec = volume.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    access_modes(&mut errors, &spec.access_modes, &path);
    let capacity = path.child("capacity");
    if spec.capacity.is_empty() {
        errors.push(Error::required(capacity.clone(), ""));
    } else if spec.capacity.len() > 1 || !spec.capacity.contains_key("storage") {
        errors.push(Error::not_supported(capacity.clone(), shown(&spec.capacity), &["storage"]));
    }
    for (name, amount) in &spec.capacity {
        storage_amount(&mut errors, Some(amount), &capacity.key(name));
    }
    let policy = path.child("persistentVolumeReclaimPolicy");
    enumerated(
        &mut errors,
        &policy,
        &spec.persistent_volume_reclaim_policy,
        "core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy",
    );
    source(&mut errors, spec, &path);
    if let Some(terms) = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref()) {
        pod::node_selector(&mut errors, terms, &path.child("nodeAffinity").child("required"));
    }
    if !spec.storage_class_name.is_empty() {
        let problems = names::dns1123_subdomain(&spec.storage_class_name);
        check(&mut errors, &path.child("storageClassName"), &spec.storage_class_name, problems);
    }
    if let Some(mode) = &spec.volume_mode {
        enumerated(&mut errors, &path.child("volumeMode"), mode, "core.v1.PersistentVolumeSpec.volumeMode");
    }
    errors
}

fn source(errors: &mut ErrorList, spec: &PersistentVolumeSpec, path: &Path) {
    let source = spec.persistent_volume_source.as_ref();
    if source.is_none_or(|source| *source == PersistentVolumeSource::default()) {
        errors.push(Error::required(path.clone(), "must specify a volume type"));
    }
    let Some(source) = source else { return };
    if let Some(host) = &source.host_path {
        pod::host_path(errors, host, &path.child("hostPath"));
        if host.path == "/" && spec.persistent_volume_reclaim_policy == "Recycle" {
            let detail = "may not be 'recycle' for a hostPath mount of '/'";
            errors.push(Error::forbidden(path.child("persistentVolumeReclaimPolicy"), detail));
        }
    }
    if let Some(local) = &source.local {
        required(errors, &path.child("local").child("path"), &local.path);
        if spec.node_affinity.is_none() {
            errors.push(Error::required(path.child("nodeAffinity"), "Local volume requires node affinity"));
        }
    }
    if let Some(nfs) = &source.nfs {
        required(errors, &path.child("nfs").child("server"), &nfs.server);
        required(errors, &path.child("nfs").child("path"), &nfs.path);
    }
    if let Some(csi) = &source.csi {
        required(errors, &path.child("csi").child("driver"), &csi.driver);
        required(errors, &path.child("csi").child("volumeHandle"), &csi.volume_handle);
    }
}

pub(crate) fn volume_update(new: &PersistentVolume, old: &PersistentVolume) -> ErrorList {
    let mut errors = volume(new);
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return errors };
    let path = Path::new("spec");
    if new.persistent_volume_source != old.persistent_volume_source {
        let detail = "spec.persistentvolumesource is immutable after creation";
        errors.push(Error::forbidden(path.child("persistentvolumesource"), detail));
    }
    immutable(&mut errors, &path.child("volumeMode"), &new.volume_mode, &old.volume_mode);
    if old.node_affinity.is_some() {
        immutable(&mut errors, &path.child("nodeAffinity"), &new.node_affinity, &old.node_affinity);
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn claim_of(spec: Value) -> PersistentVolumeClaim {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    fn volume_of(spec: Value) -> PersistentVolume {
        let mut volume: PersistentVolume = serde_json::from_value(json!({ "spec": spec })).unwrap();
        crate::defaults::storage::persistent_volume(&mut volume);
        volume
    }

    #[test]
    fn a_claim_says_how_much_and_how() {
        let good =
            json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
        assert_eq!(claim(&claim_of(good)), []);
        assert_eq!(
            texts(&claim(&claim_of(json!({})))),
            [
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources.requests[storage]: Required value",
            ]
        );
        let wrong = json!({ "accessModes": ["Write"], "resources": { "requests": { "storage": "0" } } });
        assert_eq!(claim(&claim_of(wrong)).len(), 2);
    }

    #[test]
    fn a_bound_claim_grows_and_does_not_shrink() {
        let of = |size: &str| {
            let mut claim = claim_of(
                json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } }),
            );
            claim.status.get_or_insert_default().phase = "Bound".into();
            claim
        };
        assert_eq!(claim_update(&of("2Gi"), &of("1Gi")), []);
        assert_eq!(claim_update(&of("1Gi"), &of("2Gi")).len(), 1);
        let mut other = of("1Gi");
        other.spec.as_mut().unwrap().access_modes = vec!["ReadWriteMany".into()];
        assert_eq!(texts(&claim_update(&other, &of("1Gi"))), [format!("spec: Forbidden: {CLAIM_ONLY}")]);
    }

    #[test]
    fn a_volume_has_one_source_and_keeps_it() {
        let good = json!({
            "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" }, "hostPath": { "path": "/data" },
        });
        let old = volume_of(good.clone());
        assert_eq!(volume(&old), []);
        assert_eq!(
            texts(&volume(&volume_of(
                json!({ "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" } })
            ))),
            ["spec: Required value: must specify a volume type"]
        );
        let mut moved = good;
        moved["hostPath"]["path"] = "/other".into();
        assert_eq!(volume_update(&volume_of(moved), &old).len(), 1);
    }
}
