//! The part of another server's document of OpenAPI 2 that goes into this one's, which is about everything.
//!
//! Only what is below the path of its group and version is taken, and what that refers to. Where both documents have a
//! definition of one name, it is this server's: those that both have are mostly the same, as for `ObjectMeta`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// What other parts of a document refer to by name.
const SHARED: [&str; 2] = ["definitions", "parameters"];

/// The part of a document below a path.
pub(super) fn below(document: &Value, path: &str) -> Value {
    let inside = format!("{path}/");
    let paths: Map<String, Value> = object(document, "paths")
        .filter(|(path, _)| path.starts_with(&inside))
        .map(|(path, item)| (path.clone(), item.clone()))
        .collect();
    let mut waiting = Vec::new();
    paths.values().for_each(|item| references(item, &mut waiting));
    let mut seen = BTreeSet::new();
    let mut part = json!({"paths": paths, "definitions": {}, "parameters": {}});
    while let Some((shared, name)) = waiting.pop() {
        let Some(found) = document[shared].get(&name) else { continue };
        if seen.insert((shared, name.clone())) {
            references(found, &mut waiting);
            part[shared][&name] = found.clone();
        }
    }
    part
}

/// Adds parts to a document.
pub(super) fn add<'a>(document: &mut Value, parts: impl IntoIterator<Item = &'a Value>) {
    for part in parts {
        for field in ["paths"].into_iter().chain(SHARED) {
            let Some(own) = document[field].as_object_mut() else { continue };
            for (name, value) in object(part, field) {
                if field == "paths" {
                    own.insert(name.clone(), value.clone());
                } else {
                    own.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
    }
}

fn object<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value[field].as_object().into_iter().flatten()
}

/// What a value refers to.
fn references(value: &Value, into: &mut Vec<(&'static str, String)>) {
    // By hand: documents come from others, and may be deep.
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(items) => waiting.extend(items),
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let named = SHARED.iter().find_map(|shared| {
                        let name = reference.strip_prefix("#/")?.strip_prefix(shared)?.strip_prefix('/')?;
                        Some((*shared, name.to_owned()))
                    });
                    into.extend(named);
                }
                waiting.extend(fields.values());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theirs() -> Value {
        let of = |name: &str| json!({"$ref": format!("#/definitions/{name}")});
        json!({
            "paths": {
                "/apis/g/v1/": {"get": {"schema": of("List")}},
                "/apis/g/v1/gears": {"get": {"schema": of("Gear"), "parameters": [{"$ref": "#/parameters/a"}]}},
                "/apis/g/v11/gears": {"get": {"schema": of("Other")}},
                "/api/v1/secrets": {"get": {"schema": of("Other")}},
            },
            "definitions": {
                "Gear": {"properties": {"meta": of("Meta"), "self": of("Gear"), "lost": of("Lost")}},
                "Meta": {"type": "string"}, "List": {"items": [of("Gear")]}, "Other": {},
            },
            "parameters": {"a": {"name": "a"}, "b": {"name": "b"}},
        })
    }

    #[test]
    fn what_is_below_a_path_comes_with_what_it_needs() {
        let part = below(&theirs(), "/apis/g/v1");
        let names = |field: &str| part[field].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names("paths"), ["/apis/g/v1/", "/apis/g/v1/gears"]);
        assert_eq!(names("definitions"), ["Gear", "List", "Meta"]);
        assert_eq!(names("parameters"), ["a"]);
    }

    #[test]
    fn definitions_of_ones_own_stay() {
        let own = json!({"Meta": {"type": "object"}});
        let mut document = json!({"paths": {"/api": {}}, "definitions": own, "parameters": {}});
        add(&mut document, [&below(&theirs(), "/apis/g/v1")]);
        assert_eq!(document["definitions"]["Meta"], json!({"type": "object"}));
        assert_eq!(document["definitions"].as_object().unwrap().len(), 3);
        assert_eq!(document["paths"].as_object().unwrap().len(), 3);
        assert_eq!(document["parameters"], json!({"a": {"name": "a"}}));
    }
}
