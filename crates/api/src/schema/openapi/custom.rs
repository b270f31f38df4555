//! Custom resources, whose schemas are those of their definitions.

use serde_json::{Map, Value, json};

use super::{Schemas, Version};
use crate::Kind;

const OBJECT_META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.ListMeta";

/// The OpenAPI name of a custom resource's kind: its group with the domain reversed.
fn name(kind: &Kind, kind_name: &str) -> String {
    let domain: Vec<&str> = kind.group.rsplit('.').collect();
    format!("{}.{}.{kind_name}", domain.join("."), kind.version)
}

impl Schemas {
    /// A reference to the schema of a custom resource's objects, or of their lists.
    pub(super) fn refer_custom(&mut self, kind: &'static Kind, list: bool) -> Value {
        let kind_name = if list { kind.list_kind } else { kind.kind };
        let name = name(kind, kind_name);
        let reference = json!({"$ref": format!("{}{name}", self.version.prefix())});
        if !self.all.contains_key(&name) {
            let mut schema = if list { self.custom_list(kind) } else { self.custom_object(kind) };
            schema["x-kubernetes-group-version-kind"] =
                json!([{"group": kind.group, "version": kind.version, "kind": kind_name}]);
            self.all.insert(name, schema);
        }
        reference
    }

    fn custom_object(&mut self, kind: &Kind) -> Value {
        let definition = kind.definition();
        let published = definition.as_ref().and_then(|definition| definition.published());
        // A schema can always be written.
        let schema = published.and_then(|schema| serde_json::to_value(schema).ok());
        let mut schema = schema.unwrap_or_else(|| json!({"type": "object"}));
        if self.version == Version::V2 {
            simplify(&mut schema);
        }
        self.envelopes(&mut schema, true);
        schema
    }

    fn custom_list(&mut self, kind: &'static Kind) -> Value {
        let items = self.refer_custom(kind, false);
        let mut schema = json!({
            "description": format!("A list of objects of kind {}.", kind.kind),
            "type": "object",
            "required": ["items"],
            "properties": {"items": {"description": "The objects.", "type": "array", "items": items}},
        });
        self.envelope(&mut schema, LIST_META);
        schema
    }

    /// Adds what every object has, to the object and to those inside of it.
    fn envelopes(&mut self, schema: &mut Value, is_object: bool) {
        if is_object {
            self.envelope(schema, OBJECT_META);
        }
        let Value::Object(fields) = schema else { return };
        let mut inner = |value: &mut Value| {
            let embedded = value["x-kubernetes-embedded-resource"] == true;
            self.envelopes(value, embedded);
        };
        for field in ["items", "additionalProperties"] {
            if let Some(value) = fields.get_mut(field).filter(|value| value.is_object()) {
                inner(value);
            }
        }
        let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
        for (name, value) in properties.into_iter().flatten() {
            if !(is_object && name == "metadata") {
                inner(value);
            }
        }
    }

    fn envelope(&mut self, schema: &mut Value, metadata: &str) {
        let reference = self.reference(metadata).unwrap_or_default();
        let described = "Name, namespace, labels and what else all objects have.";
        let metadata = if self.version == Version::V3 {
            json!({"allOf": [reference], "description": described})
        } else {
            let mut reference = reference;
            reference["description"] = described.into();
            reference
        };
        schema["properties"]["apiVersion"] =
            json!({"type": "string", "description": "The version of the API that the object is written in."});
        schema["properties"]["kind"] = json!({"type": "string", "description": "The kind of the object."});
        schema["properties"]["metadata"] = metadata;
    }
}

/// What OpenAPI 2 has no words for is left out, as upstream does.
fn simplify(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    for field in ["allOf", "anyOf", "oneOf", "not", "default"] {
        fields.remove(field);
    }
    let nullable = fields.remove("nullable") == Some(Value::Bool(true));
    if nullable {
        fields.remove("type");
    }
    if nullable || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        for field in ["items", "properties", "additionalProperties", "required"] {
            fields.remove(field);
        }
    }
    for field in ["items", "additionalProperties"] {
        if let Some(value) = fields.get_mut(field) {
            simplify(value);
        }
    }
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
    properties.unwrap_or(&mut Map::new()).values_mut().for_each(simplify);
}
