//! The service account of a pod: it must exist, and its token is mounted where containers look for it.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::{
    ConfigMapProjection, Container, DownwardApiProjection, DownwardApiVolumeFile, KeyToPath,
    LocalObjectReference, ObjectFieldSelector, Pod, PodSpec, ProjectedVolumeSource, ServiceAccount,
    ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection, VolumeSource,
};
use gantry_api::meta::v1::GetOptions;
use rand::Rng as _;

use super::typed;
use crate::authorization::named_by;
use crate::status::{ApiError, Reason};
use crate::verbs::{Target, Verbs, generate_name};

/// The account of pods that name none.
const DEFAULT: &str = "default";
/// Where containers look for their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How the volume's name begins.
const VOLUME: &str = "kube-api-access-";
/// What verifies the API server's certificate, in each namespace.
const ROOT_CA: &str = "kube-root-ca.crt";
/// Just over an hour: the number by which the token's issuer knows what such a token is for.
const EXPIRATION: i64 = 3607;
const MODE: i32 = 0o644;
/// A pod that a kubelet makes known, which it runs of its own accord.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Limits pods to the secrets that their account names.
const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";
/// How often an account `default` is looked for, which a controller makes soon after the namespace.
const ATTEMPTS: usize = 10;
/// The pause between two of them, in milliseconds.
const PAUSE: std::ops::Range<u64> = 100..200;

impl Verbs {
    /// Gives a new pod its account and the account's token, and checks what the pod refers to.
    pub(super) async fn admit_service_account(&self, pod: &mut Pod) -> Result<(), ApiError> {
        let (namespace, name) = (pod.namespace().to_owned(), pod.name().to_owned());
        let forbidden = |detail: String| ApiError::forbidden(Pod::kind(), &name, &detail);
        if pod.meta().annotations.contains_key(MIRROR) {
            return check_mirror(pod).map_err(|detail| forbidden(detail.to_owned()));
        }
        let spec = pod.spec.get_or_insert_default();
        if spec.service_account_name.is_empty() {
            DEFAULT.clone_into(&mut spec.service_account_name);
        }
        let account = spec.service_account_name.clone();
        let found = self.account(&namespace, &account).await.map_err(|error| {
            forbidden(format!("error looking up service account {namespace}/{account}: {}", error))
        })?;
        if automounts(spec, &found) {
            mount(spec, || generate_name(VOLUME));
        }
        if spec.image_pull_secrets.is_empty() {
            spec.image_pull_secrets.clone_from(&found.image_pull_secrets);
        }
        if enforces(&found) { check_secrets(spec, &found).map_err(forbidden) } else { Ok(()) }
    }

    /// Asks of the ephemeral containers that a pod gets what its account asks of containers.
    pub(super) async fn check_ephemeral_secrets(&self, pod: &Pod) -> Result<(), ApiError> {
        let Some(spec) = &pod.spec else { return Ok(()) };
        let (namespace, account) = (pod.namespace(), spec.service_account_name.as_str());
        if pod.meta().annotations.contains_key(MIRROR) || account.is_empty() {
            return Ok(());
        }
        let forbidden = |detail: String| ApiError::forbidden(Pod::kind(), pod.name(), &detail);
        let found = self.account(namespace, account).await.map_err(|error| {
            forbidden(format!("error looking up service account {namespace}/{account}: {}", error))
        })?;
        if !enforces(&found) {
            return Ok(());
        }
        let allowed = allowed(&found);
        gantry_api::ephemeral::containers(spec)
            .iter()
            .try_for_each(|container| check_container("ephemeral container", container, account, &allowed))
            .map_err(forbidden)
    }

    /// The account, from the cache or, where that has none, from the store.
    async fn account(&self, namespace: &str, name: &str) -> Result<ServiceAccount, ApiError> {
        let kind = <ServiceAccount as Resource>::kind();
        let target = Target { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        let cache = self.cache(kind)?;
        if let Some(entry) = cache.peek(&target.key(&cache)?) {
            return typed(&entry);
        }
        let attempts = if name == DEFAULT { ATTEMPTS } else { 1 };
        let pause = Duration::from_millis(rand::rng().random_range(PAUSE));
        for attempt in 0..attempts {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
            }
            match self.get(&target, &GetOptions::default()).await {
                Ok(entry) => return typed(&entry),
                Err(error) if error.reason() == Reason::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // Upstream says it in the singular.
        Err(ApiError::new(Reason::NotFound, format!("serviceaccount {name:?} not found")))
    }
}

/// Whether a pod gets ephemeral containers that it did not have.
pub(super) fn gets_containers(pod: &Pod, old: &Pod) -> bool {
    let of = |pod: &Pod| pod.spec.as_ref().map_or(0, |spec| spec.ephemeral_containers.len());
    of(pod) > of(old)
}

/// A mirror pod runs whatever the cluster says, so it gets nothing of the cluster's.
fn check_mirror(pod: &Pod) -> Result<(), &'static str> {
    let spec = pod.spec.clone().unwrap_or_default();
    if !spec.service_account_name.is_empty() {
        return Err("a mirror pod may not reference service accounts");
    }
    let named: Vec<String> = named_by(pod).iter().map(ToString::to_string).collect();
    for (sort, refusal) in [
        ("Secret ", "a mirror pod may not reference secrets"),
        ("ConfigMap ", "a mirror pod may not reference configmaps"),
    ] {
        if named.iter().any(|object| object.starts_with(sort)) {
            return Err(refusal);
        }
    }
    let sources = spec.volumes.iter().filter_map(|volume| volume.volume_source.as_ref());
    let mut parts = sources.filter_map(|source| source.projected.as_ref()).flat_map(|all| &all.sources);
    if parts.any(|part| part.service_account_token.is_some()) {
        return Err("a mirror pod may not use ServiceAccountToken volume projections");
    }
    Ok(())
}

/// The pod decides, then the account; whoever says nothing gets a token.
fn automounts(spec: &PodSpec, account: &ServiceAccount) -> bool {
    spec.automount_service_account_token.or(account.automount_service_account_token).unwrap_or(true)
}

/// Mounts the token into each container that has nothing at its place.
fn mount(spec: &mut PodSpec, name: impl FnOnce() -> String) {
    let name = name();
    let mut mounted = false;
    for container in spec.init_containers.iter_mut().chain(&mut spec.containers) {
        if container.volume_mounts.iter().any(|mount| mount.mount_path == MOUNT_PATH) {
            continue;
        }
        mounted = true;
        container.volume_mounts.push(VolumeMount {
            name: name.clone(),
            read_only: true,
            mount_path: MOUNT_PATH.to_owned(),
            ..VolumeMount::default()
        });
    }
    if mounted {
        let volume_source = Some(VolumeSource { projected: Some(access()), ..VolumeSource::default() });
        spec.volumes.push(Volume { name, volume_source });
    }
}

/// What a program needs to talk to the API server: its token, the authority, its namespace.
fn access() -> ProjectedVolumeSource {
    let token = ServiceAccountTokenProjection {
        path: "token".to_owned(),
        expiration_seconds: Some(EXPIRATION),
        ..ServiceAccountTokenProjection::default()
    };
    let authority = ConfigMapProjection {
        local_object_reference: Some(LocalObjectReference { name: ROOT_CA.to_owned() }),
        items: vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }],
        optional: None,
    };
    let namespace = DownwardApiProjection {
        items: vec![DownwardApiVolumeFile {
            path: "namespace".to_owned(),
            field_ref: Some(ObjectFieldSelector {
                api_version: "v1".to_owned(),
                field_path: "metadata.namespace".to_owned(),
            }),
            ..DownwardApiVolumeFile::default()
        }],
    };
    ProjectedVolumeSource {
        default_mode: Some(MODE),
        sources: vec![
            VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
            VolumeProjection { config_map: Some(authority), ..VolumeProjection::default() },
            VolumeProjection { downward_api: Some(namespace), ..VolumeProjection::default() },
        ],
    }
}

fn enforces(account: &ServiceAccount) -> bool {
    let value = account.meta().annotations.get(ENFORCE).map(String::as_str);
    matches!(value, Some("1" | "t" | "T" | "TRUE" | "true" | "True"))
}

/// The secrets that the account names.
fn allowed(account: &ServiceAccount) -> Vec<&str> {
    account.secrets.iter().map(|secret| secret.name.as_str()).collect()
}

/// Whether the pod keeps to the secrets that its account names.
fn check_secrets(spec: &PodSpec, account: &ServiceAccount) -> Result<(), String> {
    let allowed = allowed(account);
    let own = account.name();
    for source in spec.volumes.iter().filter_map(|volume| volume.volume_source.as_ref()) {
        if let Some(secret) = source.secret.as_ref().map(|secret| secret.secret_name.as_str())
            && !allowed.contains(&secret)
        {
            return Err(format!(
                "volume with secret.secretName={secret:?} is not allowed because service account {own} does not \
                 reference that secret"
            ));
        }
    }
    for container in &spec.init_containers {
        check_container("init container", container, own, &allowed)?;
    }
    for container in &spec.containers {
        check_container("container", container, own, &allowed)?;
    }
    for (i, secret) in spec.image_pull_secrets.iter().enumerate() {
        if !account.image_pull_secrets.iter().any(|other| other.name == secret.name) {
            return Err(format!(
                "imagePullSecrets[{i}].name={:?} is not allowed because service account {own} does not reference \
                 that imagePullSecret",
                secret.name
            ));
        }
    }
    Ok(())
}

fn check_container(what: &str, container: &Container, account: &str, allowed: &[&str]) -> Result<(), String> {
    let name = &container.name;
    let refused = |of: String, secret: &str| {
        format!(
            "{what} {name} with {of} referencing secret.secretName={secret:?} is not allowed because service account \
             {account} does not reference that secret"
        )
    };
    for variable in &container.env {
        let secret = variable.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
        if let Some(secret) = secret.and_then(|secret| secret.local_object_reference.as_ref())
            && !allowed.contains(&secret.name.as_str())
        {
            return Err(refused(format!("envVar {}", variable.name), &secret.name));
        }
    }
    for source in &container.env_from {
        let secret = source.secret_ref.as_ref().and_then(|secret| secret.local_object_reference.as_ref());
        if let Some(secret) = secret
            && !allowed.contains(&secret.name.as_str())
        {
            return Err(refused("envFrom".to_owned(), &secret.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: serde_json::Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    fn account(value: serde_json::Value) -> ServiceAccount {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_token_is_mounted_where_nothing_is() {
        let mut pod = spec(json!({
            "initContainers": [{"name": "i"}],
            "containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "own", "mountPath": MOUNT_PATH}]}],
            "volumes": [{"name": "own", "emptyDir": {}}]
        }));
        mount(&mut pod, || "kube-api-access-x".to_owned());
        let mounts = |container: &Container| {
            container.volume_mounts.iter().map(|mount| mount.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(mounts(&pod.init_containers[0]), ["kube-api-access-x"]);
        assert_eq!(mounts(&pod.containers[0]), ["kube-api-access-x"]);
        assert_eq!(mounts(&pod.containers[1]), ["own"]);
        assert_eq!(
            serde_json::to_value(&pod.volumes[1]).unwrap(),
            json!({"name": "kube-api-access-x", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                ]}}
            ]}})
        );
        let before = pod.clone();
        mount(&mut pod, || "kube-api-access-y".to_owned());
        assert_eq!(pod, before, "nothing is mounted twice");
    }

    #[test]
    fn the_pod_decides_before_its_account() {
        for (pod, of_account, mounts) in [
            (None, None, true),
            (None, Some(false), false),
            (Some(true), Some(false), true),
            (Some(false), Some(true), false),
        ] {
            let spec = spec(json!({"automountServiceAccountToken": pod}));
            let account = account(json!({"automountServiceAccountToken": of_account}));
            assert_eq!(automounts(&spec, &account), mounts, "{pod:?} {of_account:?}");
        }
    }

    #[test]
    fn a_mirror_pod_names_nothing_of_the_cluster() {
        let check = |value| check_mirror(&Pod { spec: Some(spec(value)), ..Pod::default() });
        assert_eq!(check(json!({"containers": [{"name": "a"}]})), Ok(()));
        assert!(check(json!({"serviceAccountName": "a"})).unwrap_err().contains("service accounts"));
        let volume = |source| json!({"volumes": [{"name": "v", "projected": {"sources": [source]}}]});
        assert!(check(volume(json!({"secret": {"name": "s"}}))).unwrap_err().contains("secrets"));
        assert!(check(volume(json!({"configMap": {"name": "s"}}))).unwrap_err().contains("configmaps"));
        let token = check(volume(json!({"serviceAccountToken": {"path": "t"}}))).unwrap_err();
        assert!(token.contains("ServiceAccountToken"));
    }

    #[test]
    fn an_account_that_says_so_limits_secrets() {
        let account = account(json!({
            "metadata": {"name": "sa", "annotations": {ENFORCE: "true"}},
            "secrets": [{"name": "s"}], "imagePullSecrets": [{"name": "p"}]
        }));
        assert!(enforces(&account));
        let check = |value| check_secrets(&spec(value), &account);
        let env = |kind: &str, secret: &str| {
            json!({kind: [{"name": "c", "env": [
                {"name": "E", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}
            ]}]})
        };
        assert_eq!(check(env("containers", "s")), Ok(()));
        assert_eq!(
            check(env("initContainers", "t")).unwrap_err(),
            "init container c with envVar E referencing secret.secretName=\"t\" is not allowed because service account \
             sa does not reference that secret"
        );
        let volume = json!({"volumes": [{"name": "v", "secret": {"secretName": "t"}}]});
        assert!(check(volume).unwrap_err().starts_with("volume with secret.secretName=\"t\" is not allowed"));
        assert_eq!(check(json!({"imagePullSecrets": [{"name": "p"}]})), Ok(()));
        let pull = check(json!({"imagePullSecrets": [{"name": "s"}]})).unwrap_err();
        assert!(pull.starts_with("imagePullSecrets[0].name=\"s\" is not allowed"));
    }
}
