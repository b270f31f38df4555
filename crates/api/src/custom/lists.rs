//! Rules beside the schema's own: lists whose items are unique, and objects within objects.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::schema::{Additional, List, Schema};
use crate::field::{Error, ErrorList, Path};

/// Every broken rule of lists and embedded objects. Where items are not unique already, they may stay so.
pub(crate) fn check(
    object: &Map<String, Value>,
    old: Option<&Map<String, Value>>,
    schema: &Schema,
) -> ErrorList {
    let (mut errors, mut embedded) = (ErrorList::new(), ErrorList::new());
    let path = Path::default();
    fields(object, schema, &path, &mut errors, &mut embedded);
    if let Some(old) = old.filter(|_| !errors.is_empty()) {
        let mut before = ErrorList::new();
        fields(old, schema, &path, &mut before, &mut ErrorList::new());
        if !before.is_empty() {
            errors.clear();
        }
    }
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

/// The items of an older list by their keys; none for lists whose items have none.
#[derive(Default)]
pub(crate) struct Counterparts<'a> {
    keys: &'a [String],
    items: HashMap<Vec<Option<&'a Value>>, &'a Value>,
}

impl<'a> Counterparts<'a> {
    pub(crate) fn of(old: Option<&'a Vec<Value>>, list: &'a List) -> Self {
        let (Some(old), List::Map(keys)) = (old, list) else { return Self::default() };
        let mut items = HashMap::with_capacity(old.len());
        for item in old {
            items.entry(key(item, keys)).or_insert(item);
        }
        Self { keys, items }
    }

    /// The item that is the same one.
    pub(crate) fn get(&self, item: &Value) -> Option<&'a Value> {
        if self.items.is_empty() { None } else { self.items.get(&key(item, self.keys)).copied() }
    }
}

fn key<'a>(item: &'a Value, keys: &[String]) -> Vec<Option<&'a Value>> {
    keys.iter().map(|key| item.get(key)).collect()
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
        let object = object.as_object().unwrap();
        let errors = check(object, None, &schema);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "object.apiVersion: Required value: must not be empty",
                "map[1]: Duplicate value: {\"name\":\"x\"}",
                "set[2]: Duplicate value: \"a\"",
            ]
        );
        // What was not unique may stay so.
        let errors = check(object, json!({"set": ["b", "b"]}).as_object(), &schema);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(check(object, json!({"set": ["b"]}).as_object(), &schema).len(), 3);
    }
}
