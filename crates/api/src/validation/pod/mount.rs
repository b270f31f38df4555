//! Where volumes appear in a container.

use std::collections::BTreeMap;

use crate::core::v1::{Container, Volume, VolumeMount};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{Unique, enumerated};

pub(super) fn mounts(
    errors: &mut ErrorList,
    container: &Container,
    volumes: &BTreeMap<&str, &Volume>,
    path: &Path,
) {
    let mut places: Vec<&str> = Vec::new();
    for (i, mount) in container.volume_mounts.iter().enumerate() {
        let path = path.child("volumeMounts").index(i);
        named_volume(errors, &mount.name, volumes, &path);
        let place = path.child("mountPath");
        if mount.mount_path.is_empty() {
            errors.push(Error::required(place.clone(), ""));
        }
        if places.contains(&mount.mount_path.as_str()) {
            errors.push(Error::invalid(place, mount.mount_path.as_str(), "must be unique"));
        }
        places.push(&mount.mount_path);
        sub_paths(errors, mount, &path);
        modes(errors, mount, &path);
    }
    let mut devices = Unique::new();
    for (i, device) in container.volume_devices.iter().enumerate() {
        let path = path.child("volumeDevices").index(i);
        named_volume(errors, &device.name, volumes, &path);
        let place = path.child("devicePath");
        if device.device_path.is_empty() {
            errors.push(Error::required(place.clone(), ""));
        }
        if places.contains(&device.device_path.as_str()) {
            let detail = "must not already exist as a path in volumeMounts";
            errors.push(Error::invalid(place.clone(), device.device_path.as_str(), detail));
        }
        devices.check(errors, &place, &device.device_path);
    }
}

fn named_volume(errors: &mut ErrorList, name: &str, volumes: &BTreeMap<&str, &Volume>, path: &Path) {
    let path = path.child("name");
    if name.is_empty() {
        errors.push(Error::required(path, ""));
    } else if !volumes.contains_key(name) {
        errors.push(Error::not_found(path, name));
    }
}

fn sub_paths(errors: &mut ErrorList, mount: &VolumeMount, path: &Path) {
    descending_path(errors, &mount.sub_path, &path.child("subPath"));
    if !mount.sub_path_expr.is_empty() {
        let path = path.child("subPathExpr");
        if !mount.sub_path.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(Error::invalid(path.clone(), mount.sub_path_expr.as_str(), detail));
        }
        descending_path(errors, &mount.sub_path_expr, &path);
    }
}

fn modes(errors: &mut ErrorList, mount: &VolumeMount, path: &Path) {
    if let Some(propagation) = &mount.mount_propagation {
        enumerated(
            errors,
            &path.child("mountPropagation"),
            propagation,
            "core.v1.VolumeMount.mountPropagation",
        );
    }
    let Some(recursive) = &mount.recursive_read_only else { return };
    let path = path.child("recursiveReadOnly");
    enumerated(errors, &path, recursive, "core.v1.VolumeMount.recursiveReadOnly");
    if recursive != "Disabled" && !mount.read_only {
        errors.push(Error::forbidden(path, "may only be specified when readOnly is true"));
    }
}

/// A path below the volume: relative, and never leading out.
pub(super) fn descending_path(errors: &mut ErrorList, text: &str, path: &Path) {
    if text.starts_with('/') {
        errors.push(Error::invalid(path.clone(), text, "must be a relative path"));
    }
    no_backsteps(errors, text, path);
}

pub(super) fn no_backsteps(errors: &mut ErrorList, text: &str, path: &Path) {
    if text.split('/').any(|part| part == "..") {
        errors.push(Error::invalid(path.clone(), text, "must not contain '..'"));
    }
}
