//! The versions of a definition.

use super::{openapi, rules, structural};
use crate::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion,
    CustomResourceSubresourceScale, SelectableField,
};
use crate::custom::JsonPath;
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{required, shown};
use crate::validation::names;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] =
    ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
/// How many fields field selectors may name.
const MAX_SELECTABLE: usize = 8;

pub(super) fn all(errors: &mut ErrorList, spec: &CustomResourceDefinitionSpec, path: &Path) {
    let versions = &spec.versions;
    for (index, version) in versions.iter().enumerate() {
        let path = path.index(index);
        let problems = names::dns1035_label(&version.name);
        if !problems.is_empty() {
            errors.push(Error::invalid(path.child("name"), version.name.as_str(), problems.join(",")));
        }
        if version.schema.as_ref().is_none_or(|schema| schema.open_apiv3_schema.is_none()) {
            let path = path.child("schema").child("openAPIV3Schema");
            errors.push(Error::required(path, "schemas are required"));
        }
        one(errors, version, &path);
    }
    let unique = |version: &CustomResourceDefinitionVersion| {
        versions.iter().filter(|other| other.name == version.name).count() == 1
    };
    if !versions.iter().all(unique) {
        errors.push(Error::invalid(path.clone(), shown(versions), "must contain unique version names"));
    }
    if versions.iter().filter(|version| version.storage).count() != 1 {
        let rule = "must have exactly one version marked as storage version";
        errors.push(Error::invalid(path.clone(), shown(versions), rule));
    }
}

fn one(errors: &mut ErrorList, version: &CustomResourceDefinitionVersion, path: &Path) {
    if let Some(warning) = &version.deprecation_warning {
        deprecation(errors, version.deprecated, warning, &path.child("deprecationWarning"));
    }
    let subresources = version.subresources.clone().unwrap_or_default();
    if let Some(schema) = version.schema.as_ref().and_then(|schema| schema.open_apiv3_schema.as_ref()) {
        let path = path.child("schema").child("openAPIV3Schema");
        if subresources.status.is_some() {
            openapi::root_with_status(errors, schema, &path);
        }
        openapi::schema(errors, schema, &path);
        errors.extend(structural::schema(schema, &path));
        rules::all(errors, schema, &path);
    }
    if let Some(scale) = &subresources.scale {
        self::scale(errors, scale, &path.child("subresources"));
    }
    for (index, column) in version.additional_printer_columns.iter().enumerate() {
        self::column(errors, column, &path.child("additionalPrinterColumns").index(index));
    }
    selectable(errors, &version.selectable_fields, &path.child("selectableFields"));
}

fn deprecation(errors: &mut ErrorList, deprecated: bool, warning: &str, path: &Path) {
    if !deprecated {
        errors.push(Error::invalid(path.clone(), warning, "can only be set for deprecated versions"));
    }
    if warning.is_empty() {
        errors.push(Error::invalid(path.clone(), warning, "must not be empty"));
    }
    if warning.len() > 256 {
        errors.push(Error::invalid(path.clone(), warning, "must be <= 256 characters"));
    }
    if let Some((index, letter)) = warning.char_indices().find(|(_, letter)| letter.is_control()) {
        let rule = format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {index}: {letter:?}"
        );
        errors.push(Error::invalid(path.clone(), warning, rule));
    }
}

fn scale(errors: &mut ErrorList, scale: &CustomResourceSubresourceScale, path: &Path) {
    let mut below = |field: &str, text: &str, prefix: &str| {
        let path = path.child(&format!("scale.{field}"));
        if simple(errors, text, &path) && !text.starts_with(&format!("{prefix}.")) {
            errors.push(Error::invalid(path, text, format!("should be a json path under {prefix}")));
        }
    };
    let replicas = [
        ("specReplicasPath", &scale.spec_replicas_path, ".spec"),
        ("statusReplicasPath", &scale.status_replicas_path, ".status"),
    ];
    let mut missing = Vec::new();
    for (field, text, prefix) in replicas {
        if text.is_empty() { missing.push(field) } else { below(field, text, prefix) }
    }
    if let Some(text) = scale.label_selector_path.as_deref().filter(|text| !text.is_empty()) {
        let prefix = if text.starts_with(".spec.") { ".spec" } else { ".status" };
        below("labelSelectorPath", text, prefix);
    }
    for field in missing {
        errors.push(Error::required(path.child(&format!("scale.{field}")), ""));
    }
}

/// A path of nothing but fields. Says whether it is one.
fn simple(errors: &mut ErrorList, text: &str, path: &Path) -> bool {
    let rule = if text.is_empty() {
        "must not be empty"
    } else if !text.starts_with('.') {
        "must be a simple json path starting with ."
    } else if text != "." && JsonPath::parse(text).is_none() {
        "must be a json path in the dot notation"
    } else {
        return true;
    };
    errors.push(Error::invalid(path.clone(), text, rule));
    false
}

fn column(errors: &mut ErrorList, column: &CustomResourceColumnDefinition, path: &Path) {
    required(errors, &path.child("name"), &column.name);
    let types = format!("must be one of {}", COLUMN_TYPES.join(","));
    if column.r#type.is_empty() {
        errors.push(Error::required(path.child("type"), types));
    } else if !COLUMN_TYPES.contains(&column.r#type.as_str()) {
        errors.push(Error::invalid(path.child("type"), column.r#type.as_str(), types));
    }
    if !column.format.is_empty() && !COLUMN_FORMATS.contains(&column.format.as_str()) {
        let formats = format!("must be one of {}", COLUMN_FORMATS.join(","));
        errors.push(Error::invalid(path.child("format"), column.format.as_str(), formats));
    }
    if column.json_path.is_empty() {
        errors.push(Error::required(path.child("jsonPath"), ""));
    } else {
        simple(errors, &column.json_path, &path.child("jsonPath"));
    }
}

fn selectable(errors: &mut ErrorList, fields: &[SelectableField], path: &Path) {
    if fields.len() > MAX_SELECTABLE {
        errors.push(Error::too_many(path.clone(), fields.len(), MAX_SELECTABLE));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let path = path.index(index).child("jsonPath");
        let text = field.json_path.as_str();
        if text.is_empty() {
            errors.push(Error::required(path, ""));
            continue;
        }
        match JsonPath::parse(text).as_ref().and_then(JsonPath::fields) {
            None => errors.push(Error::invalid(path, text, "is an invalid path")),
            Some(fields) if fields.first() == Some(&"metadata") => {
                errors.push(Error::invalid(path, text, "must not point to fields in metadata"));
            }
            Some(_) if seen.contains(&text) => errors.push(Error::duplicate(path, text)),
            Some(_) => seen.push(text),
        }
    }
}
