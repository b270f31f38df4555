//! ConfigMaps, Secrets and ServiceAccounts.

use super::{
    common::{check, immutable},
    names,
};
use crate::core::v1::{ConfigMap, Secret};
use crate::field::{Error, ErrorList, Path};

/// All values of one object together.
const MAX_BYTES: usize = 1 << 20;

pub(crate) fn config_map(map: &ConfigMap) -> ErrorList {
    let mut errors = ErrorList::new();
    let mut size = 0;
    for (key, value) in &map.data {
        let path = Path::new("data").key(key);
        check(&mut errors, &path, key, names::config_key(key));
        if map.binary_data.contains_key(key) {
            errors.push(Error::invalid(path, key.as_str(), "duplicate of key present in binaryData"));
        }
        size += value.len();
    }
    for (key, value) in &map.binary_data {
        check(&mut errors, &Path::new("binaryData").key(key), key, names::config_key(key));
        size += value.len();
    }
    if size > MAX_BYTES {
        errors.push(Error::too_long(Path::default(), MAX_BYTES));
    }
    errors
}

const IMMUTABLE_IS_SET: &str = "field is immutable when `immutable` is set";

pub(crate) fn config_map_update(new: &ConfigMap, old: &ConfigMap) -> ErrorList {
    let mut errors = config_map(new);
    if old.immutable != Some(true) {
        return errors;
    }
    if new.immutable != Some(true) {
        errors.push(Error::forbidden(Path::new("immutable"), IMMUTABLE_IS_SET));
    }
    if new.data != old.data {
        errors.push(Error::forbidden(Path::new("data"), IMMUTABLE_IS_SET));
    }
    if new.binary_data != old.binary_data {
        errors.push(Error::forbidden(Path::new("binaryData"), IMMUTABLE_IS_SET));
    }
    errors
}

/// The keys that secrets of a type must have.
fn required_keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        _ => &[],
    }
}

pub(crate) fn secret(secret: &Secret) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("data");
    for key in secret.data.keys() {
        check(&mut errors, &path.key(key), key, names::config_key(key));
    }
    if secret.data.values().map(bytes::Bytes::len).sum::<usize>() > MAX_BYTES {
        errors.push(Error::too_long(path.clone(), MAX_BYTES));
    }
    for key in required_keys(&secret.r#type) {
        if !secret.data.contains_key(*key) {
            errors.push(Error::required(path.key(key), ""));
        }
    }
    match secret.r#type.as_str() {
        "kubernetes.io/service-account-token" => {
            let annotations = secret.metadata.as_ref().map(|meta| &meta.annotations);
            let key = "kubernetes.io/service-account.name";
            if annotations.and_then(|annotations| annotations.get(key)).is_none_or(String::is_empty) {
                errors.push(Error::required(Path::new("metadata").child("annotations").key(key), ""));
            }
        }
        "kubernetes.io/basic-auth" => {
            let has = |key: &str| secret.data.contains_key(key);
            if !has("username") && !has("password") {
                errors.push(Error::required(path.key("username"), ""));
                errors.push(Error::required(path.key("password"), ""));
            }
        }
        kind @ ("kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson") => {
            for key in required_keys(kind) {
                let json =
                    |value: &bytes::Bytes| serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok();
                if secret.data.get(*key).is_some_and(|value| !json(value)) {
                    errors.push(Error::invalid(path.key(key), "<secret contents redacted>", "invalid JSON"));
                }
            }
        }
        _ => {}
    }
    errors
}

pub(crate) fn secret_update(new: &Secret, old: &Secret) -> ErrorList {
    let mut errors = secret(new);
    immutable(&mut errors, &Path::new("type"), &new.r#type, &old.r#type);
    if old.immutable == Some(true) {
        if new.immutable != Some(true) {
            errors.push(Error::forbidden(Path::new("immutable"), IMMUTABLE_IS_SET));
        }
        if new.data != old.data {
            errors.push(Error::forbidden(Path::new("data"), IMMUTABLE_IS_SET));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validation::common::texts;

    #[test]
    fn keys_are_file_names() {
        let map: ConfigMap =
            serde_json::from_value(json!({ "data": { "a.conf": "x", "a/b": "y" } })).unwrap();
        let errors = config_map(&map);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].path.as_str(), "data[a/b]");
        let twice: ConfigMap =
            serde_json::from_value(json!({ "data": { "a": "x" }, "binaryData": { "a": "eA==" } })).unwrap();
        assert_eq!(config_map(&twice).len(), 1);
        let large =
            ConfigMap { data: [("a".into(), "x".repeat(MAX_BYTES + 1))].into(), ..ConfigMap::default() };
        assert_eq!(config_map(&large).len(), 1);
    }

    #[test]
    fn what_is_immutable_stays() {
        let old: ConfigMap =
            serde_json::from_value(json!({ "data": { "a": "x" }, "immutable": true })).unwrap();
        assert_eq!(config_map_update(&old, &old), []);
        assert_eq!(
            texts(&config_map_update(&ConfigMap::default(), &old)),
            [
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ]
        );
    }

    #[test]
    fn types_of_secrets_have_their_keys() {
        let of = |json| -> Secret { serde_json::from_value(json).unwrap() };
        assert_eq!(
            texts(&secret(&of(json!({ "type": "kubernetes.io/tls", "data": { "tls.crt": "" } })))),
            ["data[tls.key]: Required value"]
        );
        let config =
            json!({ "type": "kubernetes.io/dockerconfigjson", "data": { ".dockerconfigjson": "eA==" } });
        assert_eq!(secret(&of(config)).len(), 1);
        assert_eq!(secret(&of(json!({ "type": "Opaque" }))), []);
        assert_eq!(secret(&of(json!({ "type": "kubernetes.io/service-account-token" }))).len(), 1);
        let errors = secret_update(&of(json!({ "type": "Opaque" })), &of(json!({ "type": "other" })));
        assert_eq!(texts(&errors), ["type: Invalid value: \"Opaque\": field is immutable"]);
    }
}
