//! The schema of a field.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as Type};
use serde_json::{Value, json};

use super::super::comments;
use super::super::merge::{flag, text, texts};
use super::{Schemas, Version};

impl Schemas {
    pub(super) fn property(&mut self, field: &FieldDescriptor, options: Option<&DynamicMessage>) -> Value {
        let required = options.is_some_and(|options| flag(options, "required") || flag(options, "present"));
        let mut schema = if field.is_map()
            && let Type::Message(entry) = field.kind()
        {
            let values = self.item(&entry.map_entry_value_field());
            json!({"type": "object", "additionalProperties": values})
        } else if field.is_list() {
            json!({"type": "array", "items": self.item(field)})
        } else {
            let schema = self.value(field);
            // What is always written has the value of nothing where nobody sets it.
            if required { self.with_zero(schema) } else { schema }
        };
        let comment = comments::of_field(field);
        if !comment.is_empty() {
            schema = self.beside(schema, "description", comment.into());
        }
        if let Some(options) = options {
            schema = self.describe_values(options, schema);
            schema = self.describe_merge(options, schema);
        }
        schema
    }

    /// A list's item, or a map's value.
    fn item(&mut self, field: &FieldDescriptor) -> Value {
        let schema = self.value(field);
        self.with_zero(schema)
    }

    fn value(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Type::String => json!({"type": "string"}),
            Type::Bool => json!({"type": "boolean"}),
            Type::Int32 => json!({"type": "integer", "format": "int32"}),
            Type::Int64 => json!({"type": "integer", "format": "int64"}),
            Type::Double | Type::Float => json!({"type": "number", "format": "double"}),
            Type::Bytes => json!({"type": "string", "format": "byte"}),
            // A list in a message of its own, which JSON does not show.
            Type::Message(message) if is_list(message.full_name()) => {
                json!({"type": "array", "items": {"type": "string"}})
            }
            Type::Message(message) => self.refer(&message),
            _ => json!({}),
        }
    }

    /// The default that a value has by its type; version 2 shows no defaults.
    fn with_zero(&self, schema: Value) -> Value {
        if self.version == Version::V2 {
            return schema;
        }
        let zero = match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("string"), None) => json!(""),
            (Some("boolean"), _) => json!(false),
            (Some("integer" | "number"), _) => json!(0),
            (None, _) if is_struct(&schema) => json!({}),
            _ => return schema,
        };
        self.beside(schema, "default", zero)
    }

    /// Adds to a schema. What stands beside a reference is not read in version 3, so the reference is wrapped there.
    fn beside(&self, schema: Value, name: &str, value: Value) -> Value {
        let wrap = self.version == Version::V3 && schema.get("$ref").is_some();
        let mut schema = if wrap { json!({"allOf": [schema]}) } else { schema };
        schema[name] = value;
        schema
    }

    /// The default, and the values of an enumerated string, which are those of a list's items.
    fn describe_values(&self, options: &DynamicMessage, mut schema: Value) -> Value {
        if self.version == Version::V3
            && let Ok(default) = serde_json::from_str::<Value>(&text(options, "default"))
        {
            schema["default"] = default;
        }
        let values = texts(options, "values");
        if !values.is_empty() {
            let enumerated = if schema["type"] == "array" { &mut schema["items"] } else { &mut schema };
            enumerated["enum"] = values.into();
        }
        schema
    }

    fn describe_merge(&self, options: &DynamicMessage, mut schema: Value) -> Value {
        let extensions = [
            ("patch_strategy", "x-kubernetes-patch-strategy"),
            ("patch_merge_key", "x-kubernetes-patch-merge-key"),
        ];
        for (option, extension) in extensions {
            let text = text(options, option);
            if !text.is_empty() {
                schema = self.beside(schema, extension, text.into());
            }
        }
        if flag(options, "atomic") {
            schema = self.beside(schema, "x-kubernetes-map-type", "atomic".into());
        }
        let list_type = match options.get_field_by_name("list_type").and_then(|value| value.as_enum_number())
        {
            Some(1) => "atomic",
            Some(2) => "set",
            Some(3) => "map",
            _ => return schema,
        };
        schema["x-kubernetes-list-type"] = list_type.into();
        let keys = texts(options, "list_map_keys");
        if !keys.is_empty() {
            schema["x-kubernetes-list-map-keys"] = keys.into();
        }
        schema
    }
}

/// Whether a schema refers to one of an object with fields.
fn is_struct(schema: &Value) -> bool {
    let reference = schema["$ref"].as_str().unwrap_or_default();
    let name = reference.rsplit('/').next().unwrap_or_default();
    let message = name.strip_prefix("io.k8s.").map(|rest| format!("k8s.io.{rest}")).unwrap_or_default();
    let message = message.replace(".apiextensions-apiserver.", ".apiextensions_apiserver.");
    !message.is_empty() && scalar(&message, Version::V3).is_none()
}

/// Whether the field is a text, once.
pub(super) fn is_text(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Type::String) && !field.is_list()
}

/// The JSON type of a parameter that carries the field.
pub(super) fn parameter_type(field: &FieldDescriptor) -> &'static str {
    match field.kind() {
        Type::Bool => "boolean",
        Type::Int32 | Type::Int64 if !field.is_list() => "integer",
        _ => "string",
    }
}

/// The schema of a message whose JSON is not that of a message.
pub(super) fn scalar(message: &str, version: Version) -> Option<Value> {
    let (package, name) = message.rsplit_once('.')?;
    if !["k8s.io.apimachinery.pkg.", "k8s.io.apiextensions_apiserver."]
        .iter()
        .any(|one| package.starts_with(one))
    {
        return None;
    }
    let schema = match (name, version) {
        ("JSON" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray", _) => {
            json!({})
        }
        ("Quantity", Version::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        ("Quantity" | "Duration", _) => json!({"type": "string"}),
        ("IntOrString", Version::V3) => {
            json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
        }
        ("IntOrString", Version::V2) => json!({"type": "string", "format": "int-or-string"}),
        ("Time" | "MicroTime", _) => json!({"type": "string", "format": "date-time"}),
        ("RawExtension" | "FieldsV1", _) => json!({"type": "object"}),
        _ => return None,
    };
    Some(schema)
}

/// Whether a message is a list in JSON.
fn is_list(name: &str) -> bool {
    name.ends_with(".Verbs") || name.ends_with(".ExtraValue")
}

#[cfg(test)]
mod tests {
    use super::super::{Schemas, Version};
    use super::*;

    fn spec(version: Version, message: &str) -> Value {
        let mut schemas = Schemas::new(version, None, &[]);
        schemas.reference(message).unwrap();
        schemas.into_all().remove(&super::super::name(message)).unwrap()["properties"].take()
    }

    #[test]
    fn enumerated_strings_list_their_values() {
        let pod = spec(Version::V3, "k8s.io.api.core.v1.PodSpec");
        assert_eq!(pod["restartPolicy"]["enum"], json!(["Always", "Never", "OnFailure"]));
        let port = spec(Version::V3, "k8s.io.api.core.v1.ContainerPort");
        assert_eq!(port["protocol"]["default"], "TCP");
        assert!(spec(Version::V2, "k8s.io.api.core.v1.ContainerPort")["protocol"].get("default").is_none());
        let claim = spec(Version::V3, "k8s.io.api.core.v1.PersistentVolumeClaimSpec");
        assert_eq!(claim["accessModes"]["items"]["enum"][0], "ReadOnlyMany");
    }

    #[test]
    fn references_are_wrapped_where_something_stands_beside_them() {
        let pod = spec(Version::V3, "k8s.io.api.core.v1.PodSpec");
        assert_eq!(
            pod["affinity"]["allOf"],
            json!([{"$ref": "#/components/schemas/io.k8s.api.core.v1.Affinity"}])
        );
        assert_eq!(pod["containers"]["items"]["default"], json!({}));
        assert_eq!(pod["containers"]["x-kubernetes-patch-merge-key"], "name");
        let pod = spec(Version::V2, "k8s.io.api.core.v1.PodSpec");
        assert_eq!(pod["affinity"]["$ref"], "#/definitions/io.k8s.api.core.v1.Affinity");
        assert!(pod["containers"]["items"].get("default").is_none());
    }

    #[test]
    fn what_is_always_written_has_a_default() {
        let container = spec(Version::V3, "k8s.io.api.core.v1.Container");
        assert_eq!(container["name"]["default"], "");
        assert!(container["image"].get("default").is_none());
        assert_eq!(container["command"]["items"], json!({"type": "string", "default": ""}));
        let service = spec(Version::V3, "k8s.io.api.core.v1.ServiceSpec");
        assert_eq!(service["selector"]["x-kubernetes-map-type"], "atomic");
        let limits = &spec(Version::V3, "k8s.io.api.core.v1.ResourceRequirements")["limits"];
        let quantity = "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity";
        assert_eq!(limits["additionalProperties"], json!({"$ref": quantity}));
    }
}
