//! Which objects a pod refers to.

use std::collections::BTreeSet;

use gantry_api::core::v1::{Container, LocalObjectReference, PodSpec, VolumeSource};

/// The names of the objects that a pod refers to, in its own namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// ConfigMaps.
    pub config_maps: BTreeSet<String>,
    /// Secrets.
    pub secrets: BTreeSet<String>,
}

/// All objects that `spec` refers to, in environments, volumes and for pulling.
#[must_use]
pub fn references(spec: &PodSpec) -> References {
    let mut found = References::default();
    for container in spec.init_containers.iter().chain(&spec.containers) {
        of_container(container, &mut found);
    }
    for container in &gantry_api::ephemeral::containers(spec) {
        of_container(container, &mut found);
    }
    for volume in &spec.volumes {
        if let Some(source) = &volume.volume_source {
            of_volume(source, &mut found);
        }
    }
    found.secrets.extend(spec.image_pull_secrets.iter().map(|secret| secret.name.clone()));
    found.config_maps.remove("");
    found.secrets.remove("");
    found
}

fn name(reference: Option<&LocalObjectReference>) -> String {
    reference.map(|reference| reference.name.clone()).unwrap_or_default()
}

fn of_container(container: &Container, found: &mut References) {
    for source in &container.env_from {
        let map = source.config_map_ref.as_ref().and_then(|r| r.local_object_reference.as_ref());
        let secret = source.secret_ref.as_ref().and_then(|r| r.local_object_reference.as_ref());
        found.config_maps.insert(name(map));
        found.secrets.insert(name(secret));
    }
    for source in container.env.iter().filter_map(|variable| variable.value_from.as_ref()) {
        let map = source.config_map_key_ref.as_ref().and_then(|r| r.local_object_reference.as_ref());
        let secret = source.secret_key_ref.as_ref().and_then(|r| r.local_object_reference.as_ref());
        found.config_maps.insert(name(map));
        found.secrets.insert(name(secret));
    }
}

fn of_volume(source: &VolumeSource, found: &mut References) {
    if let Some(map) = &source.config_map {
        found.config_maps.insert(name(map.local_object_reference.as_ref()));
    }
    if let Some(secret) = &source.secret {
        found.secrets.insert(secret.secret_name.clone());
    }
    for part in source.projected.iter().flat_map(|projected| &projected.sources) {
        let map = part.config_map.as_ref().and_then(|m| m.local_object_reference.as_ref());
        let secret = part.secret.as_ref().and_then(|s| s.local_object_reference.as_ref());
        found.config_maps.insert(name(map));
        found.secrets.insert(name(secret));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_searched() {
        let spec: PodSpec = serde_json::from_str(
            r#"{"initContainers":[{"name":"i","envFrom":[{"configMapRef":{"name":"a"}}]}],
                "containers":[{"name":"c","env":[{"name":"X","valueFrom":{"secretKeyRef":{"name":"b","key":"k"}}}]}],
                "volumes":[{"name":"v","configMap":{"name":"c"}},{"name":"w","secret":{"secretName":"d"}},
                           {"name":"p","projected":{"sources":[{"configMap":{"name":"e"}},{"secret":{"name":"f"}}]}}],
                "imagePullSecrets":[{"name":"g"}]}"#,
        )
        .unwrap();
        let found = references(&spec);
        assert_eq!(found.config_maps.into_iter().collect::<Vec<_>>(), ["a", "c", "e"]);
        assert_eq!(found.secrets.into_iter().collect::<Vec<_>>(), ["b", "d", "f", "g"]);
    }
}
