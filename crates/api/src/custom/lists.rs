//! Rules beside the schema's own: lists whose items are unique, and objects within objects.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::schema::{Additional, List, Schema};
use crate::field::{Error, ErrorList, Path};

/// Every broken rule of lists and embedded objects.
pub(crate) fn check(object: &Map<String, Value>, schema: &Schema) -> ErrorList {
    let mut errors = ErrorList::new();
    let mut embedded = ErrorList::new();
    fields(object, schema, &Path::default(), &mut errors, &mut embedded);
    embedded.append(&mut errors);
    embedded
}

fn fields(
    object: &Map<String, Value>,
    schema: &Schema,
    path: &Path,
    errors: &mut ErrorList,
    embedded: &mut ErrorList,
) {
    for (name, inside) in object {
        let (inner, path) = match (schema.properties.get(name), &schema.additional) {
            (Some(inner), _) => (inner, path.child(name)),
            (None, Additional::Each(inner)) => (&**inner, path.key(name)),
            _ => continue,
        };
        value(inside, inner, &path, errors, embedded);
    }
}

fn value(value: &Value, schema: &Schema, path: &Path, errors: &mut ErrorList, embedded: &mut ErrorList) {
    match value {
        Value::Object(object) => {
            if schema.embedded {
                envelope(object, path, embedded);
            }
            fields(object, schema, path, errors, embedded);
        }
        Value::Array(items) => {
            unique(items, &schema.list, path, errors);
            let Some(of_items) = schema.items.as_deref() else { return };
            for (index, item) in items.iter().enumerate() {
                self::value(item, of_items, &path.index(index), errors, embedded);
            }
        }
        _ => {}
    }
}

fn envelope(object: &Map<String, Value>, path: &Path, errors: &mut ErrorList) {
    for field in ["apiVersion", "kind"] {
        if object.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
            errors.push(Error::required(path.child(field), "must not be empty"));
        }
    }
}

/// The item of an older list that is the same one by its keys; none for lists whose items have none.
pub(crate) fn counterpart<'a>(item: &Value, old: &'a [Value], list: &List) -> Option<&'a Value> {
    let List::Map(keys) = list else { return None };
    old.iter().find(|other| keys.iter().all(|key| item.get(key) == other.get(key)))
}

fn unique(items: &[Value], list: &List, path: &Path, errors: &mut ErrorList) {
    let key = |item: &Value| match list {
        List::Atomic => None,
        List::Set => Some(item.clone()),
        List::Map(keys) => {
            let fields = item.as_object()?;
            let of_key = |key: &String| Some((key.clone(), fields.get(key)?.clone()));
            Some(Value::Object(keys.iter().filter_map(of_key).collect()))
        }
    };
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let Some(key) = key(item) else { continue };
        if !seen.insert(key.to_string()) {
            errors.push(Error::duplicate(path.index(index), key));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sets_maps_and_embedded_objects_have_rules() {
        let schema = json!({"type": "object", "properties": {
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "object": {"type": "object", "x-kubernetes-embedded-resource": true},
        }});
        let schema = Schema::compile(&serde_json::from_value(schema).unwrap()).unwrap();
        let object = json!({"set": ["a", "b", "a"], "map": [{"name": "x", "v": 1}, {"name": "x", "v": 2}],
                            "object": {"kind": "K"}});
        let errors = check(object.as_object().unwrap(), &schema);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "object.apiVersion: Required value: must not be empty",
                "map[1]: Duplicate value: {\"name\":\"x\"}",
                "set[2]: Duplicate value: \"a\"",
            ]
        );
    }
}
