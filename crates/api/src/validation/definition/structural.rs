//! Structural schemas: each value's type stands outside of `allOf`, `anyOf`, `oneOf` and `not`, so that it is known
//! what a field is without looking at any value.

use crate::apiextensions::v1::JsonSchemaProps;
use crate::custom::schema::{MAX_DEPTH, Schema, pattern};
use crate::custom::{check_value, prune};
use crate::field::{Error, ErrorList, Path};
use crate::scalars::JsonSchemaPropsOrBool;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// The rules of a schema as a whole, in the order of their texts, as upstream gives them.
pub(super) fn schema(schema: &JsonSchemaProps, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    structure(&mut errors, schema, Level::Root, path, 0);
    complete(&mut errors, schema, path);
    errors.sort_by_cached_key(ToString::to_string);
    if errors.is_empty() {
        defaults(&mut errors, schema, path, true);
    }
    errors
}

fn is_preserved(schema: &JsonSchemaProps) -> bool {
    schema.x_kubernetes_preserve_unknown_fields == Some(true)
}

fn items(schema: &JsonSchemaProps) -> Option<&JsonSchemaProps> {
    schema.items.as_ref()?.schema.as_deref()
}

fn additional(schema: &JsonSchemaProps) -> Option<&JsonSchemaPropsOrBool> {
    schema.additional_properties.as_deref()
}

fn structure(errors: &mut ErrorList, schema: &JsonSchemaProps, level: Level, path: &Path, depth: usize) {
    // Deeper ones are refused elsewhere.
    if depth > MAX_DEPTH {
        return;
    }
    match items(schema) {
        Some(items) => structure(errors, items, Level::Item, &path.child("items"), depth + 1),
        None if schema.r#type == "array" => {
            errors.push(Error::required(path.child("items"), "must be specified"));
        }
        None => {}
    }
    for (name, inner) in &schema.properties {
        structure(errors, inner, Level::Field, &path.child("properties").key(name), depth + 1);
    }
    if let Some(additional) = additional(schema) {
        let path = path.child("additionalProperties");
        if level == Level::Root {
            errors.push(Error::forbidden(path.clone(), "must not be used at the root"));
        }
        if schema.x_kubernetes_embedded_resource {
            let detail = "must not be used if x-kubernetes-embedded-resource is set";
            errors.push(Error::forbidden(path.clone(), detail));
        }
        if let Some(inner) = &additional.schema {
            structure(errors, inner, Level::Field, &path, depth + 1);
        }
    }
    extensions(errors, schema, path);
    let first_is_pattern = schema.all_of.first().is_some_and(|first| is_int_or_string(&first.any_of));
    value_rules(errors, schema, is_int_or_string(&schema.any_of), first_is_pattern, path, depth);
    types(errors, schema, level, path);
    if level == Level::Root || schema.x_kubernetes_embedded_resource {
        envelope(errors, schema, level, path);
    }
}

fn extensions(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path) {
    if !schema.x_kubernetes_int_or_string {
        return;
    }
    let rule = "must be false if x-kubernetes-int-or-string is true";
    for (set, field) in [
        (is_preserved(schema), "x-kubernetes-preserve-unknown-fields"),
        (schema.x_kubernetes_embedded_resource, "x-kubernetes-embedded-resource"),
    ] {
        if set {
            errors.push(Error::invalid(path.child(field), true, rule));
        }
    }
}

fn types(errors: &mut ErrorList, schema: &JsonSchemaProps, level: Level, path: &Path) {
    let (r#type, of_type) = (schema.r#type.as_str(), path.child("type"));
    if schema.x_kubernetes_embedded_resource && r#type != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match r#type {
            "" => Error::required(of_type.clone(), detail),
            other => Error::invalid(of_type.clone(), other, detail),
        });
    } else if r#type.is_empty() && !schema.x_kubernetes_int_or_string && !is_preserved(schema) {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(Error::required(of_type.clone(), detail));
    }
    if level == Level::Root && !matches!(r#type, "" | "object") {
        errors.push(Error::invalid(of_type, r#type, "must be object at the root"));
    }
    if schema.x_kubernetes_embedded_resource && !is_preserved(schema) && schema.properties.is_empty() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        errors.push(Error::required(path.child("properties"), detail));
    }
}

/// What is said of the fields that every object has.
fn envelope(errors: &mut ErrorList, schema: &JsonSchemaProps, level: Level, path: &Path) {
    for name in ["kind", "apiVersion"] {
        if let Some(field) = schema.properties.get(name).filter(|field| field.r#type != "string") {
            let path = path.child("properties").key(name).child("type");
            errors.push(Error::invalid(path, field.r#type.as_str(), "must be string"));
        }
    }
    let Some(metadata) = schema.properties.get("metadata") else { return };
    let path = path.child("properties").key("metadata");
    if metadata.r#type != "object" {
        errors.push(Error::invalid(path.child("type"), metadata.r#type.as_str(), "must be object"));
    }
    let only_names = metadata.properties.keys().all(|name| matches!(name.as_str(), "name" | "generateName"));
    let nothing_else = JsonSchemaProps {
        r#type: String::new(),
        properties: Default::default(),
        description: String::new(),
        ..metadata.clone()
    };
    if level == Level::Root && !(only_names && nothing_else == JsonSchemaProps::default()) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(Error::forbidden(path, detail));
    }
}

/// The one use of types in `anyOf` that is allowed: an integer or a string.
fn is_int_or_string(any_of: &[JsonSchemaProps]) -> bool {
    let only = |schema: &JsonSchemaProps, r#type: &str| {
        *schema == JsonSchemaProps { r#type: r#type.to_owned(), ..JsonSchemaProps::default() }
    };
    matches!(any_of, [first, second] if only(first, "integer") && only(second, "string"))
}

fn value_rules(
    errors: &mut ErrorList,
    schema: &JsonSchemaProps,
    skip_any_of: bool,
    skip_first_all_of: bool,
    path: &Path,
    depth: usize,
) {
    for (field, all) in [("anyOf", &schema.any_of), ("allOf", &schema.all_of), ("oneOf", &schema.one_of)] {
        if field == "anyOf" && skip_any_of {
            continue;
        }
        for (index, inner) in all.iter().enumerate() {
            let skip = field == "allOf" && skip_first_all_of && index == 0;
            nested(errors, inner, skip, &path.child(field).index(index), depth + 1);
        }
    }
    if let Some(not) = &schema.not {
        nested(errors, not, false, &path.child("not"), depth + 1);
    }
    if let Err(error) = pattern(&schema.pattern) {
        let rule = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(Error::invalid(path.child("pattern"), schema.pattern.as_str(), rule));
    }
}

fn nested(errors: &mut ErrorList, schema: &JsonSchemaProps, skip_any_of: bool, path: &Path, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    value_rules(errors, schema, skip_any_of, false, path, depth);
    if let Some(items) = items(schema) {
        nested(errors, items, false, &path.child("items"), depth + 1);
    }
    for (name, inner) in &schema.properties {
        nested(errors, inner, false, &path.child("properties").key(name), depth + 1);
    }
    let (empty, undefined, off) = (
        "must be empty to be structural",
        "must be undefined to be structural",
        "must be false to be structural",
    );
    for (set, field, detail) in [
        (!schema.r#type.is_empty(), "type", empty),
        (schema.additional_properties.is_some(), "additionalProperties", undefined),
        (schema.default.is_some(), "default", undefined),
        (!schema.title.is_empty(), "title", empty),
        (!schema.description.is_empty(), "description", empty),
        (schema.nullable, "nullable", off),
        (schema.external_docs.is_some(), "externalDocs", undefined),
        (is_preserved(schema), "x-kubernetes-preserve-unknown-fields", off),
        (schema.x_kubernetes_embedded_resource, "x-kubernetes-embedded-resource", off),
        (schema.x_kubernetes_int_or_string, "x-kubernetes-int-or-string", off),
        (!schema.x_kubernetes_list_map_keys.is_empty(), "x-kubernetes-list-map-keys", empty),
        (schema.x_kubernetes_list_type.is_some(), "x-kubernetes-list-type", undefined),
        (schema.x_kubernetes_map_type.is_some(), "x-kubernetes-map-type", undefined),
        (!schema.x_kubernetes_validations.is_empty(), "x-kubernetes-validations", empty),
    ] {
        if set {
            errors.push(Error::forbidden(path.child(field), detail));
        }
    }
    if schema.properties.contains_key("metadata") {
        let path = path.child("properties").key("metadata");
        errors.push(Error::forbidden(path, "must not be specified in a nested context"));
    }
}

/// Every field that rules name is also one of the structure.
fn complete(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path) {
    let alternatives = [("anyOf", &schema.any_of), ("allOf", &schema.all_of), ("oneOf", &schema.one_of)];
    for (field, all) in alternatives {
        for (index, inner) in all.iter().enumerate() {
            covered(errors, inner, schema, path, &path.child(field).index(index), 0);
        }
    }
    if let Some(not) = &schema.not {
        covered(errors, not, schema, path, &path.child("not"), 0);
    }
    for (name, inner) in &schema.properties {
        complete(errors, inner, &path.child("properties").key(name));
    }
    if let Some(items) = items(schema) {
        complete(errors, items, &path.child("items"));
    }
    if let Some(inner) = additional(schema).and_then(|additional| additional.schema.as_deref()) {
        complete(errors, inner, &path.child("additionalProperties"));
    }
}

fn covered(
    errors: &mut ErrorList,
    rule: &JsonSchemaProps,
    structure: &JsonSchemaProps,
    path: &Path,
    rule_path: &Path,
    depth: usize,
) {
    if depth > MAX_DEPTH {
        return;
    }
    let because = |rule_path: Path| format!("because it is defined in {rule_path}");
    for (name, inner) in &rule.properties {
        let (path, rule_path) = (path.child("properties").key(name), rule_path.child("properties").key(name));
        match structure.properties.get(name) {
            Some(structure) => covered(errors, inner, structure, &path, &rule_path, depth + 1),
            None => errors.push(Error::required(path, because(rule_path))),
        }
    }
    if let Some(inner) = items(rule) {
        let (path, rule_path) = (path.child("items"), rule_path.child("items"));
        match items(structure) {
            Some(structure) => covered(errors, inner, structure, &path, &rule_path, depth + 1),
            None => errors.push(Error::required(path, because(rule_path))),
        }
    }
    for (field, all) in [("anyOf", &rule.any_of), ("allOf", &rule.all_of), ("oneOf", &rule.one_of)] {
        for (index, inner) in all.iter().enumerate() {
            covered(errors, inner, structure, path, &rule_path.child(field).index(index), depth + 1);
        }
    }
    if let Some(not) = &rule.not {
        covered(errors, not, structure, path, &rule_path.child("not"), depth + 1);
    }
}

/// Defaults are values of their schemas.
fn defaults(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path, root: bool) {
    if let Some(default) = &schema.default {
        let path = path.child("default");
        if root {
            errors.push(Error::forbidden(path, "must not be set at the root"));
        } else if let Ok(compiled) = Schema::compile(schema) {
            let mut value = default.value();
            if let serde_json::Value::Object(object) = &mut value {
                let unknown = prune(object, &compiled);
                if let Some(first) = unknown.first() {
                    let rule = format!("must not have unknown fields, and {first} is one");
                    errors.push(Error::invalid(path.clone(), default.value(), rule));
                }
                crate::custom::fill_defaults(object, &compiled);
            }
            errors.extend(check_value(&value, &compiled, path.as_str()));
        }
    }
    for (name, inner) in &schema.properties {
        defaults(errors, inner, &path.child("properties").key(name), false);
    }
    if let Some(items) = items(schema) {
        defaults(errors, items, &path.child("items"), false);
    }
    if let Some(inner) = additional(schema).and_then(|additional| additional.schema.as_deref()) {
        defaults(errors, inner, &path.child("additionalProperties"), false);
    }
}
