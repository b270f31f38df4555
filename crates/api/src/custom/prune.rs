//! Removes what a structural schema does not know.

use serde_json::{Map, Value};

use super::schema::{Additional, Schema};

/// The fields that every object has, whatever its schema says of them.
pub(crate) const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "metadata"];
/// No more unknown fields than this are named.
const MAX_NAMED: usize = 100;

/// Removes unknown fields from an object; returns their paths.
pub(crate) fn prune(object: &mut Map<String, Value>, schema: &Schema) -> Vec<String> {
    let mut unknown = Vec::new();
    fields(object, Some(schema), true, "", &mut unknown);
    unknown
}

fn value(value: &mut Value, schema: Option<&Schema>, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let embedded = schema.is_some_and(|schema| schema.embedded);
            fields(object, schema, embedded, path, unknown);
        }
        Value::Array(items) => {
            let of_items = schema.and_then(|schema| schema.items.as_deref());
            // Where anything goes, it goes inside of lists, too, as far as nothing is said of their items.
            if schema.is_some_and(|schema| schema.preserve) && of_items.is_none() {
                return;
            }
            for (index, item) in items.iter_mut().enumerate() {
                self::value(item, of_items, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn fields(
    object: &mut Map<String, Value>,
    schema: Option<&Schema>,
    is_object: bool,
    path: &str,
    unknown: &mut Vec<String>,
) {
    let preserve = schema.is_some_and(|schema| schema.preserve);
    let mut removed = Vec::new();
    for (name, inner) in object.iter_mut() {
        if is_object && ENVELOPE.contains(&name.as_str()) {
            continue;
        }
        let inside = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let known = schema.and_then(|schema| schema.properties.get(name));
        match (known, schema.map(|schema| &schema.additional)) {
            (Some(schema), _) => value(inner, Some(schema), &inside, unknown),
            (None, Some(Additional::Each(schema))) => value(inner, Some(schema), &inside, unknown),
            (None, Some(Additional::Any)) if !preserve => value(inner, None, &inside, unknown),
            _ if preserve => {}
            _ => {
                removed.push(name.clone());
                if unknown.len() < MAX_NAMED {
                    unknown.push(inside);
                }
            }
        }
    }
    for name in removed {
        object.remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pruned(schema: Value, object: Value) -> (Value, Vec<String>) {
        let schema = Schema::compile(&serde_json::from_value(schema).unwrap()).unwrap();
        let Value::Object(mut object) = object else { panic!("an object") };
        let unknown = prune(&mut object, &schema);
        (object.into(), unknown)
    }

    #[test]
    fn unknown_fields_go_and_are_named() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                     "properties": {"strict": {"type": "object"}}},
        }}}});
        let object = json!({"apiVersion": "v", "metadata": {"x": 1}, "status": {}, "spec": {
            "list": [{"a": "1", "b": "2"}], "map": {"k": {"v": 1}}, "free": {"any": {"thing": 1}, "strict": {"x": 1}},
        }});
        let (object, unknown) = pruned(schema, object);
        assert_eq!(
            object,
            json!({"apiVersion": "v", "metadata": {"x": 1}, "spec": {
                "list": [{"a": "1"}], "map": {"k": {}}, "free": {"any": {"thing": 1}, "strict": {}},
            }})
        );
        assert_eq!(unknown, ["spec.free.strict.x", "spec.list[0].b", "spec.map.k.v", "status"]);
    }

    #[test]
    fn an_embedded_object_keeps_its_envelope() {
        let schema = json!({"type": "object", "properties": {"o": {"type": "object",
            "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}}}});
        let object = json!({"o": {"kind": "K", "metadata": {"name": "a"}, "spec": {}, "x": 1}});
        let (object, unknown) = pruned(schema, object);
        assert_eq!(object, json!({"o": {"kind": "K", "metadata": {"name": "a"}, "spec": {}}}));
        assert_eq!(unknown, ["o.x"]);
    }
}
