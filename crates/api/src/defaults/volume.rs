//! Volumes of pods.

use super::{pod::pull_policy, storage, text};
use crate::core::v1::{
    DownwardApiVolumeFile, EmptyDirVolumeSource, ProjectedVolumeSource, Volume, VolumeSource,
};

/// Readable for all, writable for the owner: 0644.
const FILE_MODE: i32 = 420;
const TOKEN_SECONDS: i64 = 3600;

pub(super) fn volume(volume: &mut Volume) {
    let source = volume.volume_source.get_or_insert_default();
    if *source == VolumeSource::default() {
        source.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(host_path) = &mut source.host_path {
        host_path.r#type.get_or_insert_default();
    }
    if let Some(secret) = &mut source.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(config_map) = &mut source.config_map {
        config_map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(downward) = &mut source.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        downward_items(&mut downward.items);
    }
    if let Some(projected) = &mut source.projected {
        self::projected(projected);
    }
    let claim = source.ephemeral.as_mut().and_then(|ephemeral| ephemeral.volume_claim_template.as_mut());
    if let Some(spec) = claim.and_then(|claim| claim.spec.as_mut()) {
        storage::claim_spec(spec);
    }
    if let Some(image) = &mut source.image {
        text(&mut image.pull_policy, pull_policy(&image.reference));
    }
    if let Some(iscsi) = &mut source.iscsi {
        text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut source.rbd {
        text(&mut rbd.pool, "rbd");
        text(&mut rbd.user, "admin");
        text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
}

fn projected(projected: &mut ProjectedVolumeSource) {
    projected.default_mode.get_or_insert(FILE_MODE);
    for source in &mut projected.sources {
        if let Some(downward) = &mut source.downward_api {
            downward_items(&mut downward.items);
        }
        if let Some(token) = &mut source.service_account_token {
            token.expiration_seconds.get_or_insert(TOKEN_SECONDS);
        }
    }
}

fn downward_items(items: &mut [DownwardApiVolumeFile]) {
    items
        .iter_mut()
        .filter_map(|item| item.field_ref.as_mut())
        .for_each(|field| text(&mut field.api_version, "v1"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn defaulted(json: serde_json::Value) -> serde_json::Value {
        let mut volume: Volume = serde_json::from_value(json).unwrap();
        super::volume(&mut volume);
        serde_json::to_value(volume).unwrap()
    }

    #[test]
    fn a_volume_without_a_source_is_an_empty_directory() {
        assert_eq!(defaulted(json!({ "name": "v" })), json!({ "name": "v", "emptyDir": {} }));
    }

    #[test]
    fn files_are_readable_for_all() {
        for source in ["secret", "configMap", "downwardAPI", "projected"] {
            let volume = defaulted(json!({ "name": "v", source: {} }));
            assert_eq!(volume[source]["defaultMode"], 420, "{source}");
        }
        let given = defaulted(json!({ "name": "v", "secret": { "defaultMode": 256 } }));
        assert_eq!(given["secret"]["defaultMode"], 256);
    }

    #[test]
    fn sources_in_detail() {
        assert_eq!(defaulted(json!({ "name": "v", "hostPath": { "path": "/" } }))["hostPath"]["type"], "");
        let projected = defaulted(json!({ "name": "v", "projected": { "sources": [
            { "serviceAccountToken": { "path": "token" } },
            { "downwardAPI": { "items": [{ "path": "n", "fieldRef": { "fieldPath": "metadata.name" } }] } },
        ] } }));
        let sources = &projected["projected"]["sources"];
        assert_eq!(sources[0]["serviceAccountToken"]["expirationSeconds"], 3600);
        assert_eq!(sources[1]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"], "v1");
    }
}
