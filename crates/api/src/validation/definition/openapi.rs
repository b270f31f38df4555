//! What of OpenAPI a schema may use.

use super::lists;
use crate::apiextensions::v1::JsonSchemaProps;
use crate::custom::schema::MAX_DEPTH;
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{one_of, shown};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// The root of a schema whose status is written apart: what is said of the whole must be true of each part.
pub(super) fn root_with_status(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path) {
    if !matches!(schema.r#type.as_str(), "" | "object") {
        let rule = "only \"object\" is allowed as the type at the root of the schema if the status subresource is \
                    enabled";
        errors.push(Error::invalid(path.child("type"), schema.r#type.as_str(), rule));
    }
    let composed = !schema.all_of.is_empty()
        || !schema.any_of.is_empty()
        || !schema.one_of.is_empty()
        || schema.not.is_some()
        || schema.additional_properties.is_some()
        || schema.default.is_some()
        || schema.max_properties.is_some()
        || schema.min_properties.is_some()
        || schema.nullable;
    if composed {
        let rule = "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength \
                    MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Enum Items Properties \
                    ExternalDocs Example XPreserveUnknownFields XValidations] fields are allowed at the root of the \
                    schema if the status subresource is enabled";
        errors.push(Error::invalid(path.clone(), shown(schema), rule));
    }
}

/// The rules of a schema and of those inside.
pub(super) fn schema(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path) {
    at(errors, schema, path, 0);
}

fn at(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path, depth: usize) {
    if depth > MAX_DEPTH {
        let rule = format!("must not be nested deeper than {MAX_DEPTH} levels");
        errors.push(Error::invalid_together(path.clone(), rule));
        return;
    }
    unsupported(errors, schema, path);
    if !schema.r#type.is_empty() {
        match schema.r#type.as_str() {
            "null" => {
                let detail = "type cannot be set to null, use nullable as an alternative";
                errors.push(Error::forbidden(path.child("type"), detail));
            }
            r#type => one_of(errors, &path.child("type"), r#type, &TYPES),
        }
    }
    lists::rules(errors, schema, path);
    if let Some(additional) = &schema.additional_properties {
        let path = path.child("additionalProperties");
        if !schema.properties.is_empty() && (!additional.allows || additional.schema.is_some()) {
            let detail = "additionalProperties and properties are mutual exclusive";
            errors.push(Error::forbidden(path.clone(), detail));
        }
        if let Some(schema) = &additional.schema {
            at(errors, schema, &path, depth + 1);
        }
    }
    for (name, inner) in &schema.properties {
        at(errors, inner, &path.child("properties").key(name), depth + 1);
    }
    if let Some(not) = &schema.not {
        at(errors, not, &path.child("not"), depth + 1);
    }
    for (field, all) in [("allOf", &schema.all_of), ("oneOf", &schema.one_of), ("anyOf", &schema.any_of)] {
        for (index, inner) in all.iter().enumerate() {
            at(errors, inner, &path.child(field).index(index), depth + 1);
        }
    }
    if let Some(items) = schema.items.as_ref().and_then(|items| items.schema.as_deref()) {
        at(errors, items, &path.child("items"), depth + 1);
    }
}

fn unsupported(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path) {
    let mut forbid = |set: bool, field: &str, detail: &str| {
        if set {
            errors.push(Error::forbidden(path.child(field), detail));
        }
    };
    forbid(!schema.id.is_empty(), "id", "id is not supported");
    forbid(schema.additional_items.is_some(), "additionalItems", "additionalItems is not supported");
    forbid(!schema.pattern_properties.is_empty(), "patternProperties", "patternProperties is not supported");
    forbid(!schema.definitions.is_empty(), "definitions", "definitions is not supported");
    forbid(!schema.dependencies.is_empty(), "dependencies", "dependencies is not supported");
    forbid(schema.r#ref.is_some(), "$ref", "$ref is not supported");
    let tuple = schema.items.as_ref().is_some_and(|items| !items.json_schemas.is_empty());
    forbid(tuple, "items", "items must be a schema object and not an array");
    let unique = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
    forbid(schema.unique_items, "uniqueItems", unique);
    if schema.x_kubernetes_preserve_unknown_fields == Some(false) {
        let path = path.child("x-kubernetes-preserve-unknown-fields");
        errors.push(Error::invalid(path, false, "must be true or undefined"));
    }
    if let Some(r#type) = &schema.x_kubernetes_map_type {
        if schema.r#type != "object" {
            let detail = "must be object if x-kubernetes-map-type is specified";
            errors.push(if schema.r#type.is_empty() {
                Error::required(path.child("type"), detail)
            } else {
                Error::invalid(path.child("type"), schema.r#type.as_str(), detail)
            });
        }
        one_of(errors, &path.child("x-kubernetes-map-type"), r#type, &["atomic", "granular"]);
    }
}
