//! The parts of a schema of custom resources that JSON writes in more than one form.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::apiextensions::v1::JsonSchemaProps;

/// A schema, or a list of schemas (`JSONSchemaPropsOrArray`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct JsonSchemaPropsOrArray {
    /// The schema.
    #[prost(message, optional, boxed, tag = "1")]
    pub schema: Option<Box<JsonSchemaProps>>,
    /// The list.
    #[prost(message, repeated, tag = "2")]
    pub json_schemas: Vec<JsonSchemaProps>,
}

/// A schema, or whether anything is allowed (`JSONSchemaPropsOrBool`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct JsonSchemaPropsOrBool {
    /// Whether anything is allowed; true beside a schema.
    #[prost(bool, tag = "1")]
    pub allows: bool,
    /// The schema.
    #[prost(message, optional, boxed, tag = "2")]
    pub schema: Option<Box<JsonSchemaProps>>,
}

/// A schema, or a list of fields (`JSONSchemaPropsOrStringArray`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct JsonSchemaPropsOrStringArray {
    /// The schema.
    #[prost(message, optional, boxed, tag = "1")]
    pub schema: Option<Box<JsonSchemaProps>>,
    /// The fields.
    #[prost(string, repeated, tag = "2")]
    pub property: Vec<String>,
}

impl Serialize for JsonSchemaPropsOrArray {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.schema {
            _ if !self.json_schemas.is_empty() => self.json_schemas.serialize(serializer),
            Some(schema) => schema.serialize(serializer),
            None => serializer.serialize_none(),
        }
    }
}

impl Serialize for JsonSchemaPropsOrBool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.schema {
            Some(schema) => schema.serialize(serializer),
            None => serializer.serialize_bool(self.allows),
        }
    }
}

impl Serialize for JsonSchemaPropsOrStringArray {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.schema {
            _ if !self.property.is_empty() => self.property.serialize(serializer),
            Some(schema) => schema.serialize(serializer),
            None => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for JsonSchemaPropsOrArray {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value {
            Value::Null => Ok(Self::default()),
            Value::Array(_) => Ok(Self { schema: None, json_schemas: parse(value)? }),
            _ => Ok(Self { schema: Some(parse(value)?), json_schemas: Vec::new() }),
        }
    }
}

impl<'de> Deserialize<'de> for JsonSchemaPropsOrBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value {
            Value::Null => Ok(Self::default()),
            Value::Bool(allows) => Ok(Self { allows, schema: None }),
            _ => Ok(Self { allows: true, schema: Some(parse(value)?) }),
        }
    }
}

impl<'de> Deserialize<'de> for JsonSchemaPropsOrStringArray {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value {
            Value::Null => Ok(Self::default()),
            Value::Array(_) => Ok(Self { schema: None, property: parse(value)? }),
            _ => Ok(Self { schema: Some(parse(value)?), property: Vec::new() }),
        }
    }
}

fn parse<T: serde::de::DeserializeOwned, E: serde::de::Error>(value: Value) -> Result<T, E> {
    serde_json::from_value(value).map_err(|error| E::custom(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        let schema = json!({
            "$ref": "r",
            "additionalItems": true,
            "additionalProperties": {"type": "string"},
            "default": {"a": [1, 2.5, null]},
            "dependencies": {"a": ["b"], "c": {"type": "object"}},
            "enum": [1, "x"],
            "items": [{"type": "string"}],
            "not": {"items": {"type": "integer"}},
            "x-kubernetes-int-or-string": true,
            "x-kubernetes-preserve-unknown-fields": false,
        });
        let read: JsonSchemaProps = serde_json::from_value(schema.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), schema);
        assert!(read.additional_properties.unwrap().allows);
        assert!(serde_json::from_value::<JsonSchemaProps>(json!({"items": 5})).is_err());
    }
}
