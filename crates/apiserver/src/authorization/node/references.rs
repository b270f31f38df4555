//! What a pod's node must be able to read for it.

use gantry_api::core::v1::{
    Container, EnvFromSource, EnvVar, LocalObjectReference, Pod, Volume, VolumeProjection, VolumeSource,
};

use super::graph::{Object, Sort};

/// A pod that a kubelet has made known, not run by the cluster: its node gets nothing for it.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The objects that a pod's node must be able to read for it, each once.
pub(super) fn references(pod: &Pod) -> Vec<Object> {
    let mirror = pod.metadata.as_ref().is_some_and(|meta| meta.annotations.contains_key(MIRROR));
    if mirror { Vec::new() } else { named_by(pod) }
}

/// The objects that a pod refers to, each once, whoever runs it.
pub(crate) fn named_by(pod: &Pod) -> Vec<Object> {
    let nothing = Default::default();
    let meta = pod.metadata.as_ref().unwrap_or(&nothing);
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut found = Found { namespace: &meta.namespace, objects: Vec::new() };
    for container in spec.init_containers.iter().chain(&spec.containers) {
        let Container { env, env_from, .. } = container;
        found.environment(env, env_from);
    }
    for container in &spec.ephemeral_containers {
        if let Some(common) = &container.ephemeral_container_common {
            found.environment(&common.env, &common.env_from);
        }
    }
    for volume in &spec.volumes {
        found.volume(volume, &meta.name);
    }
    for secret in &spec.image_pull_secrets {
        found.add(Sort::Secret, &secret.name);
    }
    found.add(Sort::ServiceAccount, &spec.service_account_name);
    found.objects.sort_unstable();
    found.objects.dedup();
    found.objects
}

struct Found<'a> {
    namespace: &'a str,
    objects: Vec<Object>,
}

impl Found<'_> {
    fn add(&mut self, sort: Sort, name: &str) {
        if !name.is_empty() {
            self.objects.push(Object::new(sort, self.namespace, name));
        }
    }

    fn local(&mut self, sort: Sort, reference: Option<&LocalObjectReference>) {
        self.add(sort, reference.map_or("", |reference| &reference.name));
    }

    fn environment(&mut self, env: &[EnvVar], from: &[EnvFromSource]) {
        for source in from {
            let map = source.config_map_ref.as_ref();
            self.local(Sort::ConfigMap, map.and_then(|map| map.local_object_reference.as_ref()));
            let secret = source.secret_ref.as_ref();
            self.local(Sort::Secret, secret.and_then(|secret| secret.local_object_reference.as_ref()));
        }
        for source in env.iter().filter_map(|variable| variable.value_from.as_ref()) {
            let map = source.config_map_key_ref.as_ref();
            self.local(Sort::ConfigMap, map.and_then(|map| map.local_object_reference.as_ref()));
            let secret = source.secret_key_ref.as_ref();
            self.local(Sort::Secret, secret.and_then(|secret| secret.local_object_reference.as_ref()));
        }
    }

    fn volume(&mut self, volume: &Volume, pod: &str) {
        let Some(source) = &volume.volume_source else { return };
        if let Some(map) = &source.config_map {
            self.local(Sort::ConfigMap, map.local_object_reference.as_ref());
        }
        if let Some(secret) = &source.secret {
            self.add(Sort::Secret, &secret.secret_name);
        }
        if let Some(claim) = &source.persistent_volume_claim {
            self.add(Sort::Claim, &claim.claim_name);
        }
        if source.ephemeral.is_some() {
            self.add(Sort::Claim, &format!("{pod}-{}", volume.name));
        }
        for part in source.projected.iter().flat_map(|projected| &projected.sources) {
            self.projection(part);
        }
        self.drivers(source);
    }

    fn projection(&mut self, part: &VolumeProjection) {
        let map = part.config_map.as_ref();
        self.local(Sort::ConfigMap, map.and_then(|map| map.local_object_reference.as_ref()));
        let secret = part.secret.as_ref();
        self.local(Sort::Secret, secret.and_then(|secret| secret.local_object_reference.as_ref()));
    }

    /// Credentials of storage that the kubelet mounts by a driver.
    fn drivers(&mut self, source: &VolumeSource) {
        self.add(Sort::Secret, source.azure_file.as_ref().map_or("", |file| &file.secret_name));
        let references = [
            source.cephfs.as_ref().and_then(|it| it.secret_ref.as_ref()),
            source.csi.as_ref().and_then(|it| it.node_publish_secret_ref.as_ref()),
            source.flex_volume.as_ref().and_then(|it| it.secret_ref.as_ref()),
            source.iscsi.as_ref().and_then(|it| it.secret_ref.as_ref()),
            source.rbd.as_ref().and_then(|it| it.secret_ref.as_ref()),
            source.scale_io.as_ref().and_then(|it| it.secret_ref.as_ref()),
            source.storageos.as_ref().and_then(|it| it.secret_ref.as_ref()),
        ];
        for reference in references {
            self.local(Sort::Secret, reference);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(pod: Value) -> Vec<String> {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        references(&pod).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_place_is_searched() {
        let pod = json!({
            "metadata": {"namespace": "ns", "name": "p"},
            "spec": {
                "serviceAccountName": "sa",
                "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}]}],
                "containers": [{"name": "c", "env": [
                    {"name": "X", "valueFrom": {"secretKeyRef": {"name": "b", "key": "k"}}},
                    {"name": "Y", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
                ]}],
                "ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "d"}}]}],
                "volumes": [
                    {"name": "v", "configMap": {"name": "e"}},
                    {"name": "w", "secret": {"secretName": "f"}},
                    {"name": "x", "projected": {"sources": [{"configMap": {"name": "g"}}, {"secret": {"name": "h"}}]}},
                    {"name": "y", "persistentVolumeClaim": {"claimName": "i"}},
                    {"name": "z", "ephemeral": {}},
                    {"name": "s", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "j"}}},
                ],
                "imagePullSecrets": [{"name": "k"}],
            },
        });
        assert_eq!(
            of(pod.clone()),
            [
                "Secret ns/b",
                "Secret ns/d",
                "Secret ns/f",
                "Secret ns/h",
                "Secret ns/j",
                "Secret ns/k",
                "ConfigMap ns/a",
                "ConfigMap ns/c",
                "ConfigMap ns/e",
                "ConfigMap ns/g",
                "Claim ns/i",
                "Claim ns/p-z",
                "ServiceAccount ns/sa",
            ]
        );
        let mut mirror = pod;
        mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        assert_eq!(of(mirror), [""; 0]);
    }
}
