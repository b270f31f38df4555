//! The files of volumes that show objects: ConfigMaps, Secrets, the pod's own fields.

use std::collections::BTreeMap;

use bytes::Bytes;
use gantry_api::core::v1::{
    ConfigMap, DownwardApiVolumeFile, KeyToPath, Pod, Secret, ServiceAccountTokenProjection, VolumeSource,
};

use crate::container::env::Objects;
use crate::container::fields::{FieldContext, FieldError, field, resource};
use crate::volumes::tokens::{Tokens, Wanted, common_user};

/// What the API gives files whose mode nobody says.
const DEFAULT_MODE: u32 = 0o644;
/// The mode of a token that belongs to somebody.
const TOKEN_MODE: u32 = 0o600;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub data: Bytes,
    /// Its permissions.
    pub mode: u32,
    /// Whose it is, where it is not root's.
    pub owner: Option<u32>,
}

/// Files by their path in the volume.
pub type Payload = BTreeMap<String, File>;

/// Why a volume cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// An object that is not optional does not exist.
    #[error("{kind} {name:?} not found")]
    NoObject {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// It lacks a key that is asked for.
    #[error("{kind} {name:?} references non-existent key: {key}")]
    NoKey {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// A path that would leave the volume.
    #[error("path {0:?} must be relative and must not contain '..'")]
    Path(String),
    /// There is no token for what a path asks for.
    #[error("path {0:?}: there is no token")]
    NoToken(String),
    /// A field of the pod cannot be read.
    #[error("path {path:?}: {source}")]
    Field {
        /// Where it was to be shown.
        path: String,
        /// Why.
        source: FieldError,
    },
    /// A source that is not supported.
    #[error("{0} is not supported by this kubelet")]
    Unsupported(&'static str),
}

/// The files of a volume, or `None` for a volume that does not show objects.
pub fn payload(
    source: &VolumeSource,
    pod: &Pod,
    objects: &Objects,
    tokens: &Tokens,
    context: &FieldContext,
) -> Option<Result<Payload, PayloadError>> {
    if let Some(map) = &source.config_map {
        let name = map.local_object_reference.as_ref().map_or("", |r| r.name.as_str());
        let mode = mode(map.default_mode);
        return Some(config_map(objects, name, &map.items, map.optional == Some(true), mode));
    }
    if let Some(secret) = &source.secret {
        let optional = secret.optional == Some(true);
        return Some(self::secret(
            objects,
            &secret.secret_name,
            &secret.items,
            optional,
            mode(secret.default_mode),
        ));
    }
    if let Some(downward) = &source.downward_api {
        return Some(fields(&downward.items, pod, context, mode(downward.default_mode)));
    }
    let projected = source.projected.as_ref()?;
    let default = mode(projected.default_mode);
    let mut all = Payload::new();
    for part in &projected.sources {
        let files = if let Some(map) = &part.config_map {
            let name = map.local_object_reference.as_ref().map_or("", |r| r.name.as_str());
            config_map(objects, name, &map.items, map.optional == Some(true), default)
        } else if let Some(secret) = &part.secret {
            let name = secret.local_object_reference.as_ref().map_or("", |r| r.name.as_str());
            self::secret(objects, name, &secret.items, secret.optional == Some(true), default)
        } else if let Some(downward) = &part.downward_api {
            fields(&downward.items, pod, context, default)
        } else if let Some(source) = &part.service_account_token {
            token(source, pod, tokens, default)
        } else if part.cluster_trust_bundle.is_some() {
            Err(PayloadError::Unsupported("a projected clusterTrustBundle"))
        } else if part.pod_certificate.is_some() {
            Err(PayloadError::Unsupported("a projected podCertificate"))
        } else {
            Err(PayloadError::Unsupported("a projected source that names nothing"))
        };
        match files {
            Ok(files) => all.extend(files),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(all))
}

fn mode(mode: Option<i32>) -> u32 {
    mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(DEFAULT_MODE) & 0o777
}

/// A token is readable by the pod's user or group alone, where the pod says who that is.
fn token(
    source: &ServiceAccountTokenProjection,
    pod: &Pod,
    tokens: &Tokens,
    default: u32,
) -> Result<Payload, PayloadError> {
    check_path(&source.path)?;
    let text = tokens.get(&Wanted::of(source)).ok_or_else(|| PayloadError::NoToken(source.path.clone()))?;
    let owner = pod.spec.as_ref().and_then(common_user);
    let context = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let grouped = context.is_some_and(|context| context.fs_group.is_some());
    let mode = if owner.is_some() || grouped { TOKEN_MODE } else { default };
    Ok(Payload::from([(source.path.clone(), File { data: Bytes::from(text.clone()), mode, owner })]))
}

fn config_map(
    objects: &Objects,
    name: &str,
    items: &[KeyToPath],
    optional: bool,
    default: u32,
) -> Result<Payload, PayloadError> {
    let data = |map: &ConfigMap| -> BTreeMap<String, Bytes> {
        let text = map.data.iter().map(|(key, value)| (key.clone(), Bytes::from(value.clone())));
        text.chain(map.binary_data.clone()).collect()
    };
    let found = objects.config_maps.get(name).map(|map| data(map));
    select("configmap", name, found, items, optional, default)
}

fn secret(
    objects: &Objects,
    name: &str,
    items: &[KeyToPath],
    optional: bool,
    default: u32,
) -> Result<Payload, PayloadError> {
    let found = objects.secrets.get(name).map(|secret: &std::sync::Arc<Secret>| secret.data.clone());
    select("secret", name, found, items, optional, default)
}

fn select(
    kind: &'static str,
    name: &str,
    data: Option<BTreeMap<String, Bytes>>,
    items: &[KeyToPath],
    optional: bool,
    default: u32,
) -> Result<Payload, PayloadError> {
    let Some(data) = data else {
        let missing = PayloadError::NoObject { kind, name: name.to_owned() };
        return if optional { Ok(Payload::new()) } else { Err(missing) };
    };
    if items.is_empty() {
        return Ok(data
            .into_iter()
            .map(|(key, data)| (key, File { data, mode: default, owner: None }))
            .collect());
    }
    let mut files = Payload::new();
    for item in items {
        check_path(&item.path)?;
        match data.get(&item.key) {
            Some(data) => {
                let mode = item.mode.map_or(default, |own| mode(Some(own)));
                files.insert(item.path.clone(), File { data: data.clone(), mode, owner: None });
            }
            None if optional => {}
            None => {
                return Err(PayloadError::NoKey { kind, name: name.to_owned(), key: item.key.clone() });
            }
        }
    }
    Ok(files)
}

fn fields(
    items: &[DownwardApiVolumeFile],
    pod: &Pod,
    context: &FieldContext,
    default: u32,
) -> Result<Payload, PayloadError> {
    let mut files = Payload::new();
    for item in items {
        check_path(&item.path)?;
        let value = if let Some(selector) = &item.field_ref {
            field(pod, &selector.field_path, context)
        } else if let Some(selector) = &item.resource_field_ref {
            resource(pod, None, selector, context)
        } else {
            return Err(PayloadError::Unsupported("a downwardAPI item without source"));
        };
        let value = value.map_err(|source| PayloadError::Field { path: item.path.clone(), source })?;
        let mode = item.mode.map_or(default, |own| mode(Some(own)));
        files.insert(item.path.clone(), File { data: Bytes::from(value), mode, owner: None });
    }
    Ok(files)
}

fn check_path(path: &str) -> Result<(), PayloadError> {
    let bad = path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..");
    if bad { Err(PayloadError::Path(path.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn show(source: &str) -> Result<Vec<String>, PayloadError> {
        show_to(source, "{}")
    }

    fn show_to(source: &str, spec: &str) -> Result<Vec<String>, PayloadError> {
        let map: ConfigMap =
            serde_json::from_str(r#"{"data":{"a":"1","b":"2"},"binaryData":{"c":"/w=="}}"#).unwrap();
        let secret: Secret = serde_json::from_str(r#"{"data":{"s":"MQ=="}}"#).unwrap();
        let objects = Objects {
            config_maps: [("m".to_owned(), Arc::new(map))].into(),
            secrets: [("s".to_owned(), Arc::new(secret))].into(),
        };
        let mut pod: Pod = serde_json::from_str(r#"{"metadata":{"name":"p","labels":{"x":"y"}}}"#).unwrap();
        pod.spec = serde_json::from_str(spec).unwrap();
        let tokens = Tokens::from([(Wanted { audience: String::new(), seconds: 3607 }, "abc".to_owned())]);
        let source: VolumeSource = serde_json::from_str(source).unwrap();
        let files = payload(&source, &pod, &objects, &tokens, &FieldContext::default()).unwrap()?;
        Ok(files.iter().map(|(path, file)| format!("{path} {:o} {}", file.mode, file.data.len())).collect())
    }

    #[test]
    fn files_are_those_of_the_object() {
        assert_eq!(show(r#"{"configMap":{"name":"m"}}"#).unwrap(), ["a 644 1", "b 644 1", "c 644 1"]);
        assert_eq!(
            show(r#"{"configMap":{"name":"m","defaultMode":256,"items":[{"key":"a","path":"d/e","mode":511}]}}"#)
                .unwrap(),
            ["d/e 777 1"]
        );
        assert_eq!(show(r#"{"secret":{"secretName":"s","defaultMode":256}}"#).unwrap(), ["s 400 1"]);
        assert_eq!(
            show(
                r#"{"projected":{"sources":[{"configMap":{"name":"m","items":[{"key":"a","path":"a"}]}},
                   {"secret":{"name":"s"}},
                   {"downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}}]}}"#
            )
            .unwrap(),
            ["a 644 1", "labels 644 5", "s 644 1"]
        );
    }

    #[test]
    fn a_token_is_the_users_and_the_groups() {
        let source =
            r#"{"projected":{"sources":[{"serviceAccountToken":{"path":"t","expirationSeconds":3607}}]}}"#;
        assert_eq!(show(source).unwrap(), ["t 644 3"]);
        assert_eq!(show_to(source, r#"{"securityContext":{"fsGroup":7}}"#).unwrap(), ["t 600 3"]);
        let user = r#"{"securityContext":{"runAsUser":7},"containers":[{"name":"c"}]}"#;
        assert_eq!(show_to(source, user).unwrap(), ["t 600 3"]);
        let other = source.replace("3607", "600");
        assert_eq!(show(&other).unwrap_err(), PayloadError::NoToken("t".into()));
        let bundle = r#"{"projected":{"sources":[{"clusterTrustBundle":{"name":"b","path":"b"}}]}}"#;
        assert_eq!(show(bundle).unwrap_err(), PayloadError::Unsupported("a projected clusterTrustBundle"));
    }

    #[test]
    fn what_is_missing_is_named_unless_it_is_optional() {
        let error = show(r#"{"configMap":{"name":"no"}}"#).unwrap_err();
        assert_eq!(error.to_string(), "configmap \"no\" not found");
        assert!(show(r#"{"configMap":{"name":"no","optional":true}}"#).unwrap().is_empty());
        let error = show(r#"{"secret":{"secretName":"s","items":[{"key":"x","path":"x"}]}}"#).unwrap_err();
        assert_eq!(error.to_string(), "secret \"s\" references non-existent key: x");
        let error = show(r#"{"configMap":{"name":"m","items":[{"key":"a","path":"../a"}]}}"#).unwrap_err();
        assert_eq!(error, PayloadError::Path("../a".into()));
    }
}
