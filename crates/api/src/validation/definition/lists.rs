//! What makes the items of a list one.

use crate::apiextensions::v1::JsonSchemaProps;
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{one_of, shown};

pub(super) fn rules(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path) {
    let keys = &schema.x_kubernetes_list_map_keys;
    let (type_path, keys_path) =
        (path.child("x-kubernetes-list-type"), path.child("x-kubernetes-list-map-keys"));
    if let Some(list_type) = &schema.x_kubernetes_list_type {
        if schema.r#type != "array" {
            let detail = "must be array if x-kubernetes-list-type is specified";
            errors.push(if schema.r#type.is_empty() {
                Error::required(path.child("type"), detail)
            } else {
                Error::invalid(path.child("type"), schema.r#type.as_str(), detail)
            });
        }
        one_of(errors, &type_path, list_type, &["atomic", "set", "map"]);
    }
    let list_type = schema.x_kubernetes_list_type.as_deref();
    if !keys.is_empty() && list_type != Some("map") {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match list_type {
            None => Error::required(type_path.clone(), detail),
            Some(other) => Error::invalid(type_path.clone(), other, detail),
        });
    }
    if list_type != Some("map") {
        return;
    }
    if keys.is_empty() {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        errors.push(Error::required(keys_path.clone(), detail));
    }
    let items = schema.items.as_ref().and_then(|items| items.schema.as_deref());
    let Some(items) = items else {
        let detail = "must have a schema if x-kubernetes-list-type is map";
        errors.push(Error::required(path.child("items"), detail));
        return;
    };
    let path = path.child("items");
    if items.r#type != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(Error::invalid(path.child("type"), items.r#type.as_str(), detail));
    }
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].contains(key) {
            errors.push(Error::duplicate(keys_path.clone(), key.as_str()));
            continue;
        }
        let Some(property) = items.properties.get(key) else {
            errors.push(Error::invalid(
                keys_path.clone(),
                shown(keys),
                "entries must all be names of item properties",
            ));
            continue;
        };
        let path = path.child("properties").key(key);
        if matches!(property.r#type.as_str(), "array" | "object") {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(Error::invalid(path.child("type"), property.r#type.as_str(), detail));
        }
        if property.default.is_none() && !items.required.contains(key) {
            let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required \
                          property";
            errors.push(Error::required(path.child("default"), detail));
        }
    }
}
