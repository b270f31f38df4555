//! A container's environment variables.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::core::v1::{ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret, Service};

use super::expand::expand;
use super::fields::{FieldContext, FieldError, field, resource};

/// The objects that a pod refers to, as far as they exist.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// By name.
    pub config_maps: BTreeMap<String, Arc<ConfigMap>>,
    /// By name.
    pub secrets: BTreeMap<String, Arc<Secret>>,
}

/// Why an environment cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// An object that is not optional does not exist.
    #[error("{kind} {name:?} not found")]
    NoObject {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// It lacks the key.
    #[error("couldn't find key {key} in {kind} {name}")]
    NoKey {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// A secret's value is no text.
    #[error("secret {name} key {key} is not valid UTF-8 and cannot be an environment variable")]
    NotText {
        /// The secret.
        name: String,
        /// The key.
        key: String,
    },
    /// A field of the pod cannot be read.
    #[error("variable {name}: {source}")]
    Field {
        /// The variable.
        name: String,
        /// Why.
        source: FieldError,
    },
    /// The source is of a kind that is not supported.
    #[error("variable {0}: this kind of source is not supported")]
    Unsupported(String),
}

/// The variables of `container`, in order; a later one of the same name replaces an earlier one.
pub fn environment(
    pod: &Pod,
    container: &Container,
    objects: &Objects,
    services: &[Arc<Service>],
    context: &FieldContext,
) -> Result<Vec<(String, String)>, EnvError> {
    let namespace = pod.metadata.as_ref().map_or("", |meta| meta.namespace.as_str());
    let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
    let services = service_variables(namespace, services, links);
    let mut variables = Variables::default();
    for source in &container.env_from {
        for (key, value) in imported(source, objects)? {
            variables.set(format!("{}{key}", source.prefix), value);
        }
    }
    for variable in &container.env {
        let value = match &variable.value_from {
            None => {
                expand(&variable.value, |name| variables.get(name).or_else(|| services.get(name).cloned()))
            }
            Some(source) => match referenced(pod, container, variable, source, objects, context)? {
                Some(value) => value,
                None => continue,
            },
        };
        variables.set(variable.name.clone(), value);
    }
    let own = variables.list;
    let mut all: Vec<(String, String)> =
        services.into_iter().filter(|(name, _)| !own.iter().any(|(known, _)| known == name)).collect();
    all.extend(own);
    Ok(all)
}

#[derive(Default)]
struct Variables {
    list: Vec<(String, String)>,
}

impl Variables {
    fn set(&mut self, name: String, value: String) {
        match self.list.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.list.push((name, value)),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.list.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// All of an object's keys. Keys that cannot be names are left out, as the API documents.
fn imported(
    source: &gantry_api::core::v1::EnvFromSource,
    objects: &Objects,
) -> Result<Vec<(String, String)>, EnvError> {
    let mut found = Vec::new();
    if let Some(reference) = &source.config_map_ref {
        let name = reference.local_object_reference.as_ref().map_or("", |r| r.name.as_str());
        match objects.config_maps.get(name) {
            Some(map) => found.extend(map.data.clone()),
            None if reference.optional == Some(true) => {}
            None => return Err(EnvError::NoObject { kind: "configmap", name: name.to_owned() }),
        }
    }
    if let Some(reference) = &source.secret_ref {
        let name = reference.local_object_reference.as_ref().map_or("", |r| r.name.as_str());
        match objects.secrets.get(name) {
            Some(secret) => {
                for (key, value) in &secret.data {
                    found.push((key.clone(), text(name, key, value)?));
                }
            }
            None if reference.optional == Some(true) => {}
            None => return Err(EnvError::NoObject { kind: "secret", name: name.to_owned() }),
        }
    }
    found.retain(|(key, _)| !key.is_empty() && !key.contains('=') && !key.contains('\0'));
    Ok(found)
}

/// The value of a variable that comes from elsewhere; `None` when it is optional and not there.
fn referenced(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    source: &EnvVarSource,
    objects: &Objects,
    context: &FieldContext,
) -> Result<Option<String>, EnvError> {
    let failed = |source| EnvError::Field { name: variable.name.clone(), source };
    if let Some(selector) = &source.field_ref {
        return field(pod, &selector.field_path, context).map(Some).map_err(failed);
    }
    if let Some(selector) = &source.resource_field_ref {
        return resource(pod, Some(container), selector, context).map(Some).map_err(failed);
    }
    if let Some(selector) = &source.config_map_key_ref {
        let name = selector.local_object_reference.as_ref().map_or("", |r| r.name.as_str());
        let optional = selector.optional == Some(true);
        let Some(map) = objects.config_maps.get(name) else {
            return absent(optional, EnvError::NoObject { kind: "configmap", name: name.to_owned() });
        };
        return match map.data.get(&selector.key) {
            Some(value) => Ok(Some(value.clone())),
            None => absent(optional, no_key("ConfigMap", name, &selector.key)),
        };
    }
    if let Some(selector) = &source.secret_key_ref {
        let name = selector.local_object_reference.as_ref().map_or("", |r| r.name.as_str());
        let optional = selector.optional == Some(true);
        let Some(secret) = objects.secrets.get(name) else {
            return absent(optional, EnvError::NoObject { kind: "secret", name: name.to_owned() });
        };
        return match secret.data.get(&selector.key) {
            Some(value) => text(name, &selector.key, value).map(Some),
            None => absent(optional, no_key("Secret", name, &selector.key)),
        };
    }
    Err(EnvError::Unsupported(variable.name.clone()))
}

fn absent(optional: bool, error: EnvError) -> Result<Option<String>, EnvError> {
    if optional { Ok(None) } else { Err(error) }
}

fn no_key(kind: &'static str, name: &str, key: &str) -> EnvError {
    EnvError::NoKey { kind, name: name.to_owned(), key: key.to_owned() }
}

fn text(name: &str, key: &str, value: &[u8]) -> Result<String, EnvError> {
    let not_text = || EnvError::NotText { name: name.to_owned(), key: key.to_owned() };
    std::str::from_utf8(value).map(str::to_owned).map_err(|_| not_text())
}

/// The variables by which a pod finds services: those of its namespace, and always the API server's.
fn service_variables(namespace: &str, services: &[Arc<Service>], links: bool) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for service in services {
        let (Some(meta), Some(spec)) = (&service.metadata, &service.spec) else { continue };
        let api_server = meta.namespace == "default" && meta.name == "kubernetes";
        let linked = links && meta.namespace == namespace;
        if spec.cluster_ip.is_empty() || spec.cluster_ip == "None" || !(linked || api_server) {
            continue;
        }
        let prefix = meta.name.to_uppercase().replace('-', "_");
        let ip = &spec.cluster_ip;
        let Some(first) = spec.ports.first() else { continue };
        let mut set = |name: String, value: String| variables.insert(format!("{prefix}_{name}"), value);
        set("SERVICE_HOST".into(), ip.clone());
        set("SERVICE_PORT".into(), first.port.to_string());
        for port in spec.ports.iter().filter(|port| !port.name.is_empty()) {
            let name = port.name.to_uppercase().replace('-', "_");
            set(format!("SERVICE_PORT_{name}"), port.port.to_string());
        }
        let url = |protocol: &str, port: i32| format!("{}://{ip}:{port}", protocol.to_lowercase());
        set("PORT".into(), url(protocol(&first.protocol), first.port));
        for port in &spec.ports {
            let protocol = protocol(&port.protocol);
            let base = format!("PORT_{}_{}", port.port, protocol.to_uppercase());
            set(base.clone(), url(protocol, port.port));
            set(format!("{base}_PROTO"), protocol.to_lowercase());
            set(format!("{base}_PORT"), port.port.to_string());
            set(format!("{base}_ADDR"), ip.clone());
        }
    }
    variables
}

fn protocol(text: &str) -> &str {
    if text.is_empty() { "TCP" } else { text }
}

#[cfg(test)]
mod tests;
