//! Volumes of pods.

use super::environment::{VOLUME_FIELDS, field_ref, resource_field};
use super::mount::{descending_path, no_backsteps};
use super::resources::quantity;
use crate::core::v1::{
    DownwardApiVolumeFile, HostPathVolumeSource, KeyToPath, NfsVolumeSource, ProjectedVolumeSource, Volume,
    VolumeProjection, VolumeSource,
};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{Unique, check, enumerated, required};
use crate::validation::{meta, names};

const TOKEN_SECONDS_MIN: i64 = 600;
const TOKEN_SECONDS_MAX: i64 = 1 << 32;

pub(super) fn volumes(errors: &mut ErrorList, volumes: &[Volume], path: &Path) {
    let mut unique = Unique::new();
    for (i, volume) in volumes.iter().enumerate() {
        let path = path.index(i);
        let name = path.child("name");
        if volume.name.is_empty() {
            errors.push(Error::required(name, ""));
        } else {
            check(errors, &name, &volume.name, names::dns1123_label(&volume.name));
            unique.check(errors, &name, &volume.name);
        }
        let empty = VolumeSource::default();
        source(errors, volume.volume_source.as_ref().unwrap_or(&empty), &path);
    }
}

/// The names of the sources that are given.
fn given(source: &VolumeSource) -> Vec<&'static str> {
    macro_rules! given {
        ($($field:ident $name:literal),* $(,)?) => {
            [$(($name, source.$field.is_some())),*]
        };
    }
    let all = given![
        empty_dir "emptyDir", host_path "hostPath", git_repo "gitRepo", gce_persistent_disk "gcePersistentDisk",
        aws_elastic_block_store "awsElasticBlockStore", secret "secret", nfs "nfs", iscsi "iscsi",
        glusterfs "glusterfs", flocker "flocker", persistent_volume_claim "persistentVolumeClaim", rbd "rbd",
        cinder "cinder", cephfs "cephfs", quobyte "quobyte", downward_api "downwardAPI", fc "fc",
        flex_volume "flexVolume", config_map "configMap", azure_file "azureFile", vsphere_volume "vsphereVolume",
        photon_persistent_disk "photonPersistentDisk", portworx_volume "portworxVolume", azure_disk "azureDisk",
        storageos "storageos", projected "projected", scale_io "scaleIO", csi "csi", ephemeral "ephemeral",
        image "image",
    ];
    all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}

fn source(errors: &mut ErrorList, source: &VolumeSource, path: &Path) {
    let given = given(source);
    if given.is_empty() {
        errors.push(Error::required(path.clone(), "must specify a volume type"));
    }
    for name in given.iter().skip(1) {
        errors.push(Error::forbidden(path.child(name), "may not specify more than 1 volume type"));
    }
    if let Some(size) = source.empty_dir.as_ref().and_then(|directory| directory.size_limit.as_ref()) {
        quantity(errors, size, &path.child("emptyDir").child("sizeLimit"));
    }
    if let Some(host) = &source.host_path {
        host_path(errors, host, &path.child("hostPath"));
    }
    if let Some(nfs) = &source.nfs {
        self::nfs(errors, nfs, &path.child("nfs"));
    }
    if let Some(secret) = &source.secret {
        let path = path.child("secret");
        required(errors, &path.child("secretName"), &secret.secret_name);
        mode(errors, secret.default_mode, &path.child("defaultMode"));
        items(errors, &secret.items, &path.child("items"));
    }
    if let Some(map) = &source.config_map {
        let path = path.child("configMap");
        let name = map.local_object_reference.as_ref().map(|reference| reference.name.as_str());
        meta::local_reference(errors, name, &path);
        mode(errors, map.default_mode, &path.child("defaultMode"));
        items(errors, &map.items, &path.child("items"));
    }
    if let Some(downward) = &source.downward_api {
        let path = path.child("downwardAPI");
        mode(errors, downward.default_mode, &path.child("defaultMode"));
        downward_files(errors, &downward.items, &path);
    }
    if let Some(projected) = &source.projected {
        self::projected(errors, projected, &path.child("projected"));
    }
    if let Some(claim) = &source.persistent_volume_claim {
        required(errors, &path.child("persistentVolumeClaim").child("claimName"), &claim.claim_name);
    }
    if let Some(csi) = &source.csi {
        required(errors, &path.child("csi").child("driver"), &csi.driver);
    }
    if let Some(image) = &source.image {
        let path = path.child("image");
        required(errors, &path.child("reference"), &image.reference);
        enumerated(
            errors,
            &path.child("pullPolicy"),
            &image.pull_policy,
            "core.v1.ImageVolumeSource.pullPolicy",
        );
    }
    if let Some(ephemeral) = &source.ephemeral
        && ephemeral.volume_claim_template.is_none()
    {
        errors.push(Error::required(path.child("ephemeral").child("volumeClaimTemplate"), ""));
    }
}

fn nfs(errors: &mut ErrorList, nfs: &NfsVolumeSource, path: &Path) {
    required(errors, &path.child("server"), &nfs.server);
    required(errors, &path.child("path"), &nfs.path);
    if !nfs.path.starts_with('/') {
        errors.push(Error::invalid(path.child("path"), nfs.path.as_str(), "must be an absolute path"));
    }
}

/// A path of the node, for pods and for persistent volumes.
pub(crate) fn host_path(errors: &mut ErrorList, host: &HostPathVolumeSource, path: &Path) {
    if host.path.is_empty() {
        errors.push(Error::required(path.child("path"), ""));
        return;
    }
    no_backsteps(errors, &host.path, &path.child("path"));
    if let Some(kind) = &host.r#type {
        enumerated(errors, &path.child("type"), kind, "core.v1.HostPathVolumeSource.type");
    }
}

fn mode(errors: &mut ErrorList, mode: Option<i32>, path: &Path) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(Error::invalid(path.clone(), mode, detail));
    }
}

/// A path of a file in the volume.
fn file_path(errors: &mut ErrorList, file: &str, path: &Path) {
    if file.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    descending_path(errors, file, path);
    if file.starts_with("..") && !file.starts_with("../") {
        errors.push(Error::invalid(path.clone(), file, "must not start with '..'"));
    }
}

fn items(errors: &mut ErrorList, items: &[KeyToPath], path: &Path) {
    for (i, item) in items.iter().enumerate() {
        let path = path.index(i);
        required(errors, &path.child("key"), &item.key);
        file_path(errors, &item.path, &path.child("path"));
        mode(errors, item.mode, &path.child("mode"));
    }
}

fn downward_files(errors: &mut ErrorList, files: &[DownwardApiVolumeFile], path: &Path) {
    for file in files {
        file_path(errors, &file.path, &path.child("path"));
        match (&file.field_ref, &file.resource_field_ref) {
            (Some(field), None) => field_ref(errors, field, &VOLUME_FIELDS, &path.child("fieldRef")),
            (None, Some(field)) => resource_field(errors, field, true, &path.child("resourceFieldRef")),
            (Some(_), Some(_)) => {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(Error::invalid(path.clone(), "resource", detail));
            }
            (None, None) => {
                errors
                    .push(Error::required(path.clone(), "one of fieldRef and resourceFieldRef is required"));
            }
        }
        mode(errors, file.mode, &path.child("mode"));
    }
}

fn projected(errors: &mut ErrorList, projected: &ProjectedVolumeSource, path: &Path) {
    mode(errors, projected.default_mode, &path.child("defaultMode"));
    let mut files: Vec<&str> = Vec::new();
    for (i, source) in projected.sources.iter().enumerate() {
        let path = path.child("sources").index(i);
        projection(errors, source, &path);
        for file in file_names(source) {
            if files.contains(&file) {
                errors.push(Error::invalid(path.clone(), file, "conflicting duplicate paths"));
            }
            files.push(file);
        }
    }
}

fn file_names(source: &VolumeProjection) -> Vec<&str> {
    let secret = source.secret.iter().flat_map(|secret| &secret.items).map(|item| item.path.as_str());
    let map = source.config_map.iter().flat_map(|map| &map.items).map(|item| item.path.as_str());
    let downward =
        source.downward_api.iter().flat_map(|downward| &downward.items).map(|item| item.path.as_str());
    let token = source.service_account_token.iter().map(|token| token.path.as_str());
    secret.chain(map).chain(downward).chain(token).collect()
}

fn projection(errors: &mut ErrorList, source: &VolumeProjection, path: &Path) {
    let mut count = 0;
    if let Some(secret) = &source.secret {
        count += 1;
        let path = path.child("secret");
        let name = secret.local_object_reference.as_ref().map(|reference| reference.name.as_str());
        meta::local_reference(errors, name, &path);
        items(errors, &secret.items, &path.child("items"));
    }
    if let Some(map) = &source.config_map {
        count += 1;
        let path = path.child("configMap");
        let name = map.local_object_reference.as_ref().map(|reference| reference.name.as_str());
        meta::local_reference(errors, name, &path);
        items(errors, &map.items, &path.child("items"));
    }
    if let Some(downward) = &source.downward_api {
        count += 1;
        downward_files(errors, &downward.items, &path.child("downwardAPI"));
    }
    if let Some(token) = &source.service_account_token {
        count += 1;
        let path = path.child("serviceAccountToken");
        let seconds = token.expiration_seconds.unwrap_or(TOKEN_SECONDS_MIN);
        if seconds < TOKEN_SECONDS_MIN {
            let detail = "may not specify a duration less than 10 minutes";
            errors.push(Error::invalid(path.child("expirationSeconds"), seconds, detail));
        }
        if seconds > TOKEN_SECONDS_MAX {
            let detail = "may not specify a duration larger than 2^32 seconds";
            errors.push(Error::invalid(path.child("expirationSeconds"), seconds, detail));
        }
        file_path(errors, &token.path, &path.child("path"));
    }
    count +=
        usize::from(source.cluster_trust_bundle.is_some()) + usize::from(source.pod_certificate.is_some());
    if count == 0 {
        errors.push(Error::required(path.clone(), "must specify a volume type"));
    }
    if count > 1 {
        errors.push(Error::forbidden(path.clone(), "may not specify more than 1 volume type per source"));
    }
}
