//! Fills the defaults of a structural schema.

use serde_json::{Map, Value};

use super::schema::{Additional, Schema};

/// Fills defaults, after what is null and must not be was removed. Idempotent.
pub(crate) fn fill(object: &mut Map<String, Value>, schema: &Schema) {
    without_nulls(object, schema);
    fields(object, schema);
}

/// Whether the value is one that stands for none.
fn is_absent(value: &Value, schema: &Schema) -> bool {
    value.is_null() && !schema.nullable
}

fn without_nulls(object: &mut Map<String, Value>, schema: &Schema) {
    object.retain(|name, value| {
        let inner = schema.properties.get(name).or(match &schema.additional {
            Additional::Each(each) => Some(&**each),
            _ => None,
        });
        let Some(inner) = inner else { return true };
        if inner.default.is_none() && is_absent(value, inner) {
            return false;
        }
        nulls_inside(value, inner);
        true
    });
}

fn nulls_inside(value: &mut Value, schema: &Schema) {
    match (value, schema.items.as_deref()) {
        (Value::Object(object), _) => without_nulls(object, schema),
        (Value::Array(items), Some(of_items)) => {
            items.iter_mut().for_each(|item| nulls_inside(item, of_items));
        }
        _ => {}
    }
}

fn fields(object: &mut Map<String, Value>, schema: &Schema) {
    for (name, inner) in &schema.properties {
        let Some(default) = &inner.default else { continue };
        if object.get(name).is_none_or(|value| is_absent(value, inner)) {
            object.insert(name.clone(), default.clone());
        }
    }
    for (name, inside) in object.iter_mut() {
        match (schema.properties.get(name), &schema.additional) {
            (Some(schema), _) => value(inside, schema),
            (None, Additional::Each(schema)) => or_default(inside, schema),
            _ => {}
        }
    }
}

fn or_default(inside: &mut Value, schema: &Schema) {
    if is_absent(inside, schema)
        && let Some(default) = &schema.default
    {
        *inside = default.clone();
    }
    value(inside, schema);
}

fn value(value: &mut Value, schema: &Schema) {
    match (value, schema.items.as_deref()) {
        (Value::Object(object), _) => fields(object, schema),
        (Value::Array(items), Some(of_items)) => items.iter_mut().for_each(|item| or_default(item, of_items)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_fill_what_is_absent_or_null() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "default": {}, "properties": {
            "a": {"type": "integer", "default": 1},
            "b": {"type": "string", "default": "x", "nullable": true},
            "c": {"type": "string"},
            "list": {"type": "array", "items": {"type": "object", "properties": {
                "d": {"type": "boolean", "default": true},
            }}},
            "map": {"type": "object", "additionalProperties": {"type": "string", "default": "y"}},
        }}}});
        let schema = Schema::compile(&serde_json::from_value(schema).unwrap()).unwrap();
        for (given, wanted) in [
            (json!({}), json!({"spec": {"a": 1, "b": "x"}})),
            (
                json!({"spec": {"a": null, "b": null, "c": null, "list": [{}], "map": {"k": null}}}),
                json!({"spec": {"a": 1, "b": null, "list": [{"d": true}], "map": {"k": "y"}}}),
            ),
            (json!({"spec": {"a": 0}}), json!({"spec": {"a": 0, "b": "x"}})),
        ] {
            let Value::Object(mut object) = given else { panic!("an object") };
            fill(&mut object, &schema);
            assert_eq!(Value::from(object.clone()), wanted);
            fill(&mut object, &schema);
            assert_eq!(Value::from(object), wanted);
        }
    }
}
