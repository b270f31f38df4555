//! The schema as OpenAPI: the components of a version 3 document, made from the descriptors.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind as Type, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments;
use super::merge::{flag, options, text, texts};
use crate::Kind;

/// The components of the given kinds: their messages and whatever these refer to, by their OpenAPI names.
#[must_use]
pub fn components<'a>(kinds: impl IntoIterator<Item = &'a Kind>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for kind in kinds {
        let Some(message) = super::pool().get_message_by_name(kind.message) else { continue };
        add(&message, &mut all);
        if let Some(schema) = all.get_mut(&name(kind.message)) {
            schema["x-kubernetes-group-version-kind"] =
                json!([{"group": kind.group, "version": kind.version, "kind": kind.kind}]);
            for (field, what) in [
                ("apiVersion", "The version of the API that the object is written in."),
                ("kind", "The kind of the object."),
            ] {
                schema["properties"][field] = json!({"type": "string", "description": what});
            }
        }
    }
    all
}

/// The OpenAPI name of a message: its package with the domain reversed.
#[must_use]
pub fn name(message: &str) -> String {
    message.strip_prefix("k8s.io.").map_or_else(|| message.to_owned(), |rest| format!("io.k8s.{rest}"))
}

fn add(message: &MessageDescriptor, all: &mut BTreeMap<String, Value>) {
    let name = name(message.full_name());
    if all.contains_key(&name) {
        return;
    }
    // Taken before its fields are visited: messages refer to themselves.
    all.insert(name.clone(), Value::Null);
    let mut properties = Map::new();
    let mut required = Vec::new();
    add_fields(message, &mut properties, &mut required, all);
    let mut schema = json!({
        "type": "object",
        "description": comments::of_message(message),
        "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    all.insert(name, schema);
}

fn add_fields(
    message: &MessageDescriptor,
    properties: &mut Map<String, Value>,
    required: &mut Vec<Value>,
    all: &mut BTreeMap<String, Value>,
) {
    for field in message.fields() {
        let options = options(&field);
        if let Type::Message(inlined) = field.kind()
            && options.as_ref().is_some_and(|options| flag(options, "inline"))
        {
            add_fields(&inlined, properties, required, all);
            continue;
        }
        let mut schema = described(property(&field, all), &comments::of_field(&field));
        if let Some(options) = &options {
            // Upstream marks metadata as always written, not as required of clients.
            if flag(options, "required") && field.name() != "metadata" && field.name() != "status" {
                required.push(field.name().into());
            }
            describe_merge(options, &mut schema);
            describe_values(options, &mut schema);
        }
        properties.insert(field.name().to_owned(), schema);
    }
}

/// What stands beside a reference is not read; so it is wrapped.
fn described(schema: Value, comment: &str) -> Value {
    let mut schema = if schema.get("$ref").is_some() { json!({"allOf": [schema]}) } else { schema };
    if !comment.is_empty() {
        schema["description"] = comment.into();
    }
    schema
}

/// The default, and the values of an enumerated string, which are those of a list's items.
fn describe_values(options: &prost_reflect::DynamicMessage, schema: &mut Value) {
    if let Ok(default) = serde_json::from_str::<Value>(&text(options, "default")) {
        schema["default"] = default;
    }
    let values = texts(options, "values");
    if values.is_empty() {
        return;
    }
    let enumerated = if schema["type"] == "array" { &mut schema["items"] } else { schema };
    enumerated["enum"] = values.into();
}

fn describe_merge(options: &prost_reflect::DynamicMessage, schema: &mut Value) {
    let extensions = [
        ("patch_strategy", "x-kubernetes-patch-strategy"),
        ("patch_merge_key", "x-kubernetes-patch-merge-key"),
    ];
    for (option, extension) in extensions {
        let text = text(options, option);
        if !text.is_empty() {
            schema[extension] = text.into();
        }
    }
    let list_type = match options.get_field_by_name("list_type").and_then(|value| value.as_enum_number()) {
        Some(1) => "atomic",
        Some(2) => "set",
        Some(3) => "map",
        _ => return,
    };
    schema["x-kubernetes-list-type"] = list_type.into();
    let keys = texts(options, "list_map_keys");
    if !keys.is_empty() {
        schema["x-kubernetes-list-map-keys"] = keys.into();
    }
}

fn property(field: &FieldDescriptor, all: &mut BTreeMap<String, Value>) -> Value {
    if field.is_map()
        && let Type::Message(entry) = field.kind()
    {
        return json!({"type": "object", "additionalProperties": value(&entry.map_entry_value_field(), all)});
    }
    if field.is_list() {
        return json!({"type": "array", "items": value(field, all)});
    }
    value(field, all)
}

fn value(field: &FieldDescriptor, all: &mut BTreeMap<String, Value>) -> Value {
    match field.kind() {
        Type::String => json!({"type": "string"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Int32 => json!({"type": "integer", "format": "int32"}),
        Type::Int64 => json!({"type": "integer", "format": "int64"}),
        Type::Double | Type::Float => json!({"type": "number", "format": "double"}),
        Type::Bytes => json!({"type": "string", "format": "byte"}),
        Type::Message(message) => match message.full_name().rsplit('.').next().unwrap_or_default() {
            "Quantity" | "Duration" => json!({"type": "string"}),
            "IntOrString" => {
                json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
            }
            "Time" | "MicroTime" => json!({"type": "string", "format": "date-time"}),
            "RawExtension" | "FieldsV1" => json!({"type": "object"}),
            "Verbs" => json!({"type": "array", "items": {"type": "string"}}),
            _ => {
                add(&message, all);
                json!({"$ref": format!("#/components/schemas/{}", name(message.full_name()))})
            }
        },
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;
    use crate::apps::v1::Deployment;

    #[test]
    fn every_field_of_every_kind_is_described() {
        for (name, schema) in components(crate::registry::all().iter().copied()) {
            let described =
                |value: &Value| value["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described(&schema), "{name} has no comment");
            for (field, property) in schema["properties"].as_object().unwrap() {
                assert!(described(property), "{name}.{field} has no comment");
            }
        }
    }

    #[test]
    fn enumerated_strings_list_their_values() {
        let all = components([<Deployment as Resource>::kind()]);
        let spec = &all["io.k8s.api.core.v1.PodSpec"]["properties"];
        assert_eq!(spec["restartPolicy"]["enum"], json!(["Always", "Never", "OnFailure"]));
        assert_eq!(spec["affinity"]["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.core.v1.Affinity");
        let port = &all["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"];
        assert_eq!(port["default"], "TCP");
        let claim = components([<crate::core::v1::PersistentVolumeClaim as Resource>::kind()]);
        let modes = &claim["io.k8s.api.core.v1.PersistentVolumeClaimSpec"]["properties"]["accessModes"];
        assert_eq!(modes["items"]["enum"][0], "ReadOnlyMany");
    }

    #[test]
    fn kinds_bring_everything_they_refer_to() {
        let all = components([<Deployment as Resource>::kind()]);
        let deployment = &all["io.k8s.api.apps.v1.Deployment"];
        assert_eq!(deployment["x-kubernetes-group-version-kind"][0]["kind"], "Deployment");
        assert_eq!(all["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]["type"], "integer");
        assert_eq!(
            all["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]["x-kubernetes-patch-merge-key"],
            "name"
        );
        let text = serde_json::to_string(&all).unwrap();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(all.contains_key(name), "{name}");
        }
    }
}
