//! Serde attributes, derived from the descriptors and the schema's field options.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::naming::snake_case;

/// The package whose messages have a JSON form.
const KUBERNETES: &str = "k8s.io";

/// What the build needs of `gantry.schema.v1.FieldSchema`, by `.package.Message.field`.
pub(crate) struct FieldOptions(HashMap<String, FieldSchema>);

#[derive(Clone, Copy, Default)]
struct FieldSchema {
    required: bool,
    inline: bool,
}

impl FieldOptions {
    pub(crate) fn read(descriptors: &[u8]) -> Result<Self, crate::Error> {
        let pool = DescriptorPool::decode(descriptors)?;
        let extension = pool
            .get_extension_by_name("gantry.schema.v1.field")
            .ok_or("the schema's field option is not defined")?;
        let mut fields = HashMap::new();
        for message in pool.all_messages() {
            for field in message.fields() {
                let options = field.options();
                if !options.has_extension(&extension) {
                    continue;
                }
                let value = options.get_extension(&extension).into_owned();
                let schema = value.as_message().ok_or("the field option is not a message")?;
                let path = format!(".{}.{}", message.full_name(), field.name());
                fields.insert(
                    path,
                    FieldSchema { required: flag(schema, "required"), inline: flag(schema, "inline") },
                );
            }
        }
        Ok(Self(fields))
    }
}

fn flag(message: &DynamicMessage, name: &str) -> bool {
    message.get_field_by_name(name).and_then(|value| value.as_bool()).unwrap_or(false)
}

/// Adds the derives and field attributes of every Kubernetes message to prost's configuration. `descriptors` still has
/// the fields' JSON names.
pub(crate) fn add_attributes(
    config: &mut prost_build::Config,
    descriptors: &FileDescriptorSet,
    options: &FieldOptions,
) {
    for file in &descriptors.file {
        if !file.package().starts_with(KUBERNETES) {
            continue;
        }
        for message in &file.message_type {
            let path = format!(".{}.{}", file.package(), message.name());
            config.type_attribute(
                &path,
                "#[derive(::serde::Serialize, ::serde::Deserialize)] #[serde(default)]",
            );
            for field in &message.field {
                let schema = options.0.get(&format!("{path}.{}", field.name())).copied().unwrap_or_default();
                config.field_attribute(
                    format!("{path}.{}", snake_case(field.name())),
                    attribute(message, field, schema),
                );
            }
        }
    }
}

fn attribute(message: &DescriptorProto, field: &FieldDescriptorProto, schema: FieldSchema) -> String {
    if schema.inline {
        return r#"#[serde(flatten, with = "crate::json::inline")]"#.to_owned();
    }
    let mut parts = vec![format!("rename = {:?}", field.json_name())];
    let repeated = field.label() == Label::Repeated;
    let optional = !repeated && (field.r#type() == Type::Message || field.proto3_optional());
    if is_map_of_bytes(message, field) {
        parts.push(r#"with = "crate::json::base64_map""#.to_owned());
    } else if field.r#type() == Type::Bytes {
        parts.push(r#"with = "crate::json::base64""#.to_owned());
    } else if !optional {
        parts.push(r#"deserialize_with = "crate::json::null_as_default""#.to_owned());
    }
    if field.r#type() == Type::Double && optional {
        parts.push(r#"serialize_with = "crate::json::number""#.to_owned());
    }
    if optional {
        parts.push(r#"skip_serializing_if = "Option::is_none""#.to_owned());
    } else if !schema.required {
        parts.push(r#"skip_serializing_if = "crate::json::is_default""#.to_owned());
    }
    format!("#[serde({})]", parts.join(", "))
}

fn is_map_of_bytes(message: &DescriptorProto, field: &FieldDescriptorProto) -> bool {
    message.nested_type.iter().any(|entry| {
        entry.options.as_ref().is_some_and(|options| options.map_entry())
            && field.type_name().ends_with(&format!(".{}.{}", message.name(), entry.name()))
            && entry.field.iter().any(|f| f.name() == "value" && f.r#type() == Type::Bytes)
    })
}
