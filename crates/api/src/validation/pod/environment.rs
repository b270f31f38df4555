//! Environment variables and where they come from.

use crate::core::v1::{EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceFieldSelector};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{check, one_of, required};
use crate::validation::{meta, names};

const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
pub(super) const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const RESOURCE_FIELDS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

pub(super) fn variables(errors: &mut ErrorList, variables: &[EnvVar], path: &Path) {
    for (i, variable) in variables.iter().enumerate() {
        let path = path.index(i);
        if variable.name.is_empty() {
            errors.push(Error::required(path.child("name"), ""));
        } else {
            check(errors, &path.child("name"), &variable.name, names::env_name(&variable.name));
        }
        if let Some(source) = &variable.value_from {
            let path = path.child("valueFrom");
            value_from(errors, source, &path);
            if !variable.value.is_empty() {
                errors.push(Error::invalid(path, "", "may not be specified when `value` is not empty"));
            }
        }
    }
}

fn value_from(errors: &mut ErrorList, source: &EnvVarSource, path: &Path) {
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        field_ref(errors, field, &ENV_FIELDS, &path.child("fieldRef"));
    }
    if let Some(resource) = &source.resource_field_ref {
        sources += 1;
        resource_field(errors, resource, false, &path.child("resourceFieldRef"));
    }
    if let Some(key) = &source.config_map_key_ref {
        sources += 1;
        let name = key.local_object_reference.as_ref().map(|reference| reference.name.as_str());
        key_ref(errors, name, &key.key, &path.child("configMapKeyRef"));
    }
    if let Some(key) = &source.secret_key_ref {
        sources += 1;
        let name = key.local_object_reference.as_ref().map(|reference| reference.name.as_str());
        key_ref(errors, name, &key.key, &path.child("secretKeyRef"));
    }
    if let Some(file) = &source.file_key_ref {
        sources += 1;
        let path = path.child("fileKeyRef");
        for (field, text) in [("volumeName", &file.volume_name), ("path", &file.path), ("key", &file.key)] {
            required(errors, &path.child(field), text);
        }
    }
    let detail = match sources {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(Error::invalid(path.clone(), "", detail));
}

fn key_ref(errors: &mut ErrorList, name: Option<&str>, key: &str, path: &Path) {
    meta::local_reference(errors, name, path);
    let path = path.child("key");
    if key.is_empty() {
        errors.push(Error::required(path, ""));
    } else {
        check(errors, &path, key, names::config_key(key));
    }
}

/// A field of the pod: one of `fields`, or one label or annotation by its key.
pub(super) fn field_ref(errors: &mut ErrorList, field: &ObjectFieldSelector, fields: &[&str], path: &Path) {
    required(errors, &path.child("apiVersion"), &field.api_version);
    let path = path.child("fieldPath");
    if field.field_path.is_empty() {
        errors.push(Error::required(path, ""));
        return;
    }
    let subscript = field.field_path.strip_suffix("']").and_then(|text| text.split_once("['"));
    match subscript {
        Some(("metadata.labels", key)) => check(errors, &path, key, names::qualified_name(key)),
        Some(("metadata.annotations", key)) => {
            check(errors, &path, key, names::qualified_name(&key.to_lowercase()));
        }
        Some((list, _)) => {
            errors.push(Error::invalid(path, list, "does not support subscript"));
        }
        None => one_of(errors, &path, &field.field_path, fields),
    }
}

/// An amount of a container's resources. In a volume the container must be named.
pub(super) fn resource_field(
    errors: &mut ErrorList,
    field: &ResourceFieldSelector,
    in_volume: bool,
    path: &Path,
) {
    if in_volume {
        required(errors, &path.child("containerName"), &field.container_name);
    }
    if field.resource.is_empty() {
        errors.push(Error::required(path.child("resource"), ""));
    } else if !["limits.hugepages-", "requests.hugepages-"]
        .iter()
        .any(|kind| field.resource.starts_with(kind))
    {
        one_of(errors, &path.child("resource"), &field.resource, &RESOURCE_FIELDS);
    }
}

pub(super) fn sources(errors: &mut ErrorList, sources: &[EnvFromSource], path: &Path) {
    for (i, source) in sources.iter().enumerate() {
        let path = path.index(i);
        if !source.prefix.is_empty() {
            check(errors, &path.child("prefix"), &source.prefix, names::env_name(&source.prefix));
        }
        if let Some(map) = &source.config_map_ref {
            let name = map.local_object_reference.as_ref().map(|reference| reference.name.as_str());
            meta::local_reference(errors, name, &path.child("configMapRef"));
        }
        if let Some(secret) = &source.secret_ref {
            let name = secret.local_object_reference.as_ref().map(|reference| reference.name.as_str());
            meta::local_reference(errors, name, &path.child("secretRef"));
        }
        let detail = match (&source.config_map_ref, &source.secret_ref) {
            (None, None) => "must specify one of: `configMapRef` or `secretRef`",
            (Some(_), Some(_)) => "may not have more than one field specified at a time",
            _ => continue,
        };
        errors.push(Error::invalid(path, "", detail));
    }
}
