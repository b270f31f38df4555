//! The schema as OpenAPI: the schemas of a document of version 2 or 3, made from the descriptors.

mod custom;
mod field;
mod kinds;

use std::collections::BTreeMap;

use prost_reflect::MessageDescriptor;
use serde_json::{Map, Value, json};

use super::comments;
use super::merge::{flag, message_options, options};
use crate::Kind;

/// Which OpenAPI a document follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 2.0: one document for all groups.
    V2,
    /// 3.0: one document for each group and version.
    V3,
}

impl Version {
    /// What stands in front of a schema's name in a reference.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        }
    }
}

/// The schemas of a document: those that were asked for, and whatever they refer to.
#[derive(Debug)]
pub struct Schemas {
    version: Version,
    /// The group and version whose document this is; none where it is that of all.
    scope: Option<(&'static str, &'static str)>,
    /// The custom resources that may be referred to.
    custom: Vec<&'static Kind>,
    all: BTreeMap<String, Value>,
}

impl Schemas {
    /// No schemas yet. With a group and version, kinds that all groups share are marked as theirs alone. Of `kinds`, the
    /// custom resources can be referred to.
    #[must_use]
    pub fn new(
        version: Version,
        scope: Option<(&'static str, &'static str)>,
        kinds: &[&'static Kind],
    ) -> Self {
        let custom = kinds.iter().copied().filter(|kind| kind.is_custom()).collect();
        Self { version, scope, custom, all: BTreeMap::new() }
    }

    /// The schemas by their OpenAPI names.
    #[must_use]
    pub fn into_all(self) -> BTreeMap<String, Value> {
        self.all
    }

    /// A reference to the schema of a message by its full name, or of a custom resource by what its kind has in place of
    /// one; `None` where there is no such message.
    pub fn reference(&mut self, message: &str) -> Option<Value> {
        let custom = self.custom.clone().into_iter();
        let lists = custom.clone().map(|kind| (kind, true));
        for (kind, list) in custom.map(|kind| (kind, false)).chain(lists) {
            let found = if list { message.strip_suffix("List") } else { Some(message) };
            if found == Some(kind.message) {
                return Some(self.refer_custom(kind, list));
            }
        }
        let message = super::pool().get_message_by_name(message)?;
        Some(self.refer(&message))
    }

    /// A reference to the schema of a patch's body, which may be anything that a patch type allows.
    pub fn patch(&mut self) -> Value {
        let name = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
        let patch = json!({
            "description": "A change of an object, in the form that the media type of the body names.",
            "type": "object",
        });
        self.all.entry(name.to_owned()).or_insert(patch);
        json!({"$ref": format!("{}{name}", self.version.prefix())})
    }

    fn refer(&mut self, message: &MessageDescriptor) -> Value {
        let name = name(message.full_name());
        let reference = json!({"$ref": format!("{}{name}", self.version.prefix())});
        if !self.all.contains_key(&name) {
            // Taken before its fields are visited: messages refer to themselves.
            self.all.insert(name.clone(), Value::Null);
            let schema = self.schema(message);
            self.all.insert(name, schema);
        }
        reference
    }

    fn schema(&mut self, message: &MessageDescriptor) -> Value {
        let described = |mut schema: Value| {
            schema["description"] = comments::of_message(message).into();
            schema
        };
        if let Some(scalar) = field::scalar(message.full_name(), self.version) {
            return described(scalar);
        }
        let mut properties = Map::new();
        let mut required = Vec::new();
        let kinds = kinds::of(message.full_name(), self.scope);
        if !kinds.is_empty() {
            for (field, what) in [
                ("apiVersion", "The version of the API that the object is written in."),
                ("kind", "The kind of the object."),
            ] {
                properties.insert(field.to_owned(), json!({"type": "string", "description": what}));
            }
        }
        self.add_fields(message, &mut properties, &mut required);
        let mut schema = described(json!({"type": "object"}));
        if !properties.is_empty() {
            schema["properties"] = properties.into();
        }
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if !kinds.is_empty() {
            schema["x-kubernetes-group-version-kind"] = kinds.into();
        }
        if message_options(message).is_some_and(|options| flag(&options, "atomic")) {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        schema
    }

    fn add_fields(
        &mut self,
        message: &MessageDescriptor,
        properties: &mut Map<String, Value>,
        required: &mut Vec<Value>,
    ) {
        for field in message.fields() {
            let options = options(&field);
            let is = |flag_name| options.as_ref().is_some_and(|options| flag(options, flag_name));
            if let prost_reflect::Kind::Message(inlined) = field.kind()
                && is("inline")
            {
                self.add_fields(&inlined, properties, required);
                continue;
            }
            // Upstream marks metadata and status as always written, not as required of clients.
            if is("required") && !matches!(field.name(), "metadata" | "status" if !field::is_text(&field)) {
                required.push(field.json_name().into());
            }
            let property = self.property(&field, options.as_ref());
            properties.insert(field.json_name().to_owned(), property);
        }
    }
}

/// The OpenAPI name of a message: its package with the domain reversed. Packages have no dashes, which names have.
#[must_use]
pub fn name(message: &str) -> String {
    // A package cannot have the dash of the module's name.
    let message = message.replace(".apiextensions_apiserver.", ".apiextensions-apiserver.");
    let message = message.replace(".kube_aggregator.", ".kube-aggregator.");
    message.strip_prefix("k8s.io.").map_or_else(|| message.clone(), |rest| format!("io.k8s.{rest}"))
}

/// The fields of a message that parameters of a query can carry: name, comment, JSON type.
#[must_use]
pub fn parameters(message: &str) -> Vec<(String, String, &'static str)> {
    let Some(message) = super::pool().get_message_by_name(message) else { return Vec::new() };
    let fields = message.fields().map(|field| {
        let r#type = field::parameter_type(&field);
        (field.json_name().to_owned(), comments::of_field(&field), r#type)
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;
    use crate::apps::v1::Deployment;

    fn all(version: Version) -> BTreeMap<String, Value> {
        let mut schemas = Schemas::new(version, None, &[]);
        for kind in crate::registry::all() {
            schemas.reference(kind.message).unwrap();
            schemas.reference(&format!("{}List", kind.message)).expect("every kind has a list");
        }
        schemas.into_all()
    }

    #[test]
    fn every_field_of_every_kind_is_described() {
        for (name, schema) in all(Version::V3) {
            let described =
                |value: &Value| value["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described(&schema), "{name} has no comment");
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                assert!(described(property), "{name}.{field} has no comment");
            }
        }
    }

    #[test]
    fn kinds_bring_everything_they_refer_to() {
        for version in [Version::V2, Version::V3] {
            let mut schemas = Schemas::new(version, None, &[]);
            schemas.reference(Deployment::kind().message).unwrap();
            let all = schemas.into_all();
            let deployment = &all["io.k8s.api.apps.v1.Deployment"];
            assert_eq!(deployment["x-kubernetes-group-version-kind"][0]["kind"], "Deployment");
            let text = serde_json::to_string(&all).unwrap();
            let mut found = 0;
            for reference in text.split(version.prefix()).skip(1) {
                let name = reference.split('"').next().unwrap();
                assert!(all.contains_key(name), "{name}");
                found += 1;
            }
            assert!(found > 100, "{found} references");
        }
    }

    #[test]
    fn required_fields_are_those_of_clients() {
        let all = all(Version::V3);
        assert_eq!(all["io.k8s.api.apps.v1.DeploymentSpec"]["required"], json!(["selector", "template"]));
        assert_eq!(all["io.k8s.api.apps.v1.DaemonSetCondition"]["required"], json!(["type", "status"]));
        assert!(all["io.k8s.api.core.v1.ConfigMap"].get("required").is_none());
    }
}
