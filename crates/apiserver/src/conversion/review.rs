//! Reviews of conversions: what is asked, and what is taken for an answer.

use std::collections::BTreeMap;

use gantry_api::field::Path;
use gantry_api::schema::go_type;
use gantry_api::validation;
use serde_json::{Map, Value, json};

const GROUP: &str = "apiextensions.k8s.io";
const KIND: &str = "ConversionReview";

/// The first version of reviews that both sides understand.
pub(super) fn version(understood: &[String]) -> Option<&'static str> {
    understood.iter().find_map(|version| ["v1", "v1beta1"].into_iter().find(|known| known == version))
}

/// `GROUP/VERSION, Kind=KIND` of an object.
pub(super) fn kind_of(object: &Value) -> String {
    format!("{}, Kind={}", text(object, "apiVersion"), text(object, "kind"))
}

/// The review that asks for objects in a version.
pub(super) fn question(review: &str, uid: &str, wanted: &str, objects: &[Value]) -> Value {
    json!({
        "kind": KIND,
        "apiVersion": format!("{GROUP}/{review}"),
        "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects},
    })
}

/// The objects of an answer; says what is wrong with it.
pub(super) fn answered(review: &str, uid: &str, body: &[u8]) -> Result<Vec<Value>, String> {
    let mut answer: Value = serde_json::from_slice(body)
        .map_err(|error| format!("couldn't get version/kind; json parse error: {error}"))?;
    // What was before v1 looked at neither.
    let strict = review == "v1";
    let api_version = format!("{GROUP}/{review}");
    if strict && (text(&answer, "apiVersion") != api_version || text(&answer, "kind") != KIND) {
        let found = match text(&answer, "apiVersion") {
            "" => "/",
            found => found,
        };
        let kind = text(&answer, "kind");
        return Err(format!(
            "expected webhook response of {api_version}, Kind={KIND}, got {found}, Kind={kind}"
        ));
    }
    let Some(response) = answer.get_mut("response").filter(|response| !response.is_null()) else {
        return Err("no response provided".to_owned());
    };
    if strict && text(response, "uid") != uid {
        return Err(format!("expected response.uid={uid:?}, got {:?}", text(response, "uid")));
    }
    let result = response.get("result").cloned().unwrap_or_default();
    match (text(&result, "status"), text(&result, "message")) {
        ("Success", _) => {}
        (status, "") => return Err(format!("response.result.status was '{status}', not 'Success'")),
        (_, message) => return Err(message.to_owned()),
    }
    match response.get_mut("convertedObjects").map(Value::take) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(objects)) => Ok(objects),
        Some(other) => Err(format!("response.convertedObjects is no list: {other}")),
    }
}

/// What became of an object: it must be the same one, and of its metadata only labels and annotations may change.
pub(super) fn accept(original: &Value, mut converted: Value, wanted: &str) -> Result<Value, String> {
    let of = kind_of(original);
    if text(&converted, "kind").is_empty() {
        return Err(format!("Object 'Kind' is missing in '{converted}'"));
    }
    let unfit = |what: &str, expected: &str, got: &str| {
        format!(
            "conversion webhook for {of} returned invalid object at index 0: invalid {what} (expected {expected}, \
             received {got})"
        )
    };
    let version = text(&converted, "apiVersion");
    if version != wanted {
        return Err(unfit("groupVersion", wanted, version));
    }
    let (expected, got) = (text(original, "kind"), text(&converted, "kind"));
    if expected != got {
        return Err(unfit("kind", expected, got));
    }
    for (what, field) in [("name", "name"), ("namespace", "namespace"), ("UID", "uid")] {
        let (before, after) = (in_metadata(original, field), in_metadata(&converted, field));
        if before != after {
            return Err(format!(
                "conversion webhook for {of} returned invalid object: must have the same {what}: {before} != {after}"
            ));
        }
    }
    restore(original, &mut converted)
        .map_err(|why| format!("conversion webhook for {of} returned invalid metadata: {why}"))?;
    Ok(converted)
}

/// Gives a converted object its metadata back, save labels and annotations.
fn restore(original: &Value, converted: &mut Value) -> Result<(), String> {
    let answered = match converted.get("metadata") {
        None => return Err("missing metadata in converted object".to_owned()),
        Some(Value::Object(meta)) => meta.clone(),
        Some(other) => {
            return Err(format!("invalid metadata of type {} in converted object", go_type(other)));
        }
    };
    let mut meta = original.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    for field in ["labels", "annotations"] {
        let after = match answered.get(field) {
            None | Some(Value::Null) => {
                meta.remove(field);
                continue;
            }
            Some(Value::Object(after)) => after,
            Some(other) => {
                return Err(format!(
                    "invalid metadata.{field} of type {} in converted object",
                    go_type(other)
                ));
            }
        };
        let texts = texts(field, after)?;
        if meta.get(field).and_then(Value::as_object) != Some(after) {
            check(field, &texts)?;
        }
        meta.insert(field.to_owned(), Value::Object(after.clone()));
    }
    converted["metadata"] = Value::Object(meta);
    Ok(())
}

fn texts(field: &str, values: &Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let text = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Ok((key.clone(), text.clone())),
        other => Err(format!(
            "metadata.{field}[{key}] must be a string, but is {} in converted object",
            go_type(other)
        )),
    };
    values.iter().map(text).collect()
}

fn check(field: &str, texts: &BTreeMap<String, String>) -> Result<(), String> {
    let mut errors = Vec::new();
    let path = Path::new("metadata");
    if field == "labels" {
        validation::meta::labels(&mut errors, texts, &path.child("labels"));
    } else {
        // Upstream's path has no `s`.
        validation::meta::annotations(&mut errors, texts, &path.child("annotation"));
    }
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn in_metadata<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get("metadata").map_or("", |meta| text(meta, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original() -> Value {
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {
            "name": "a", "namespace": "n", "uid": "1", "generation": 3, "labels": {"a": "b"},
        }})
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Result<Value, String> {
        let mut converted = original();
        converted["apiVersion"] = json!("example.com/v2");
        change(&mut converted);
        accept(&original(), converted, "example.com/v2")
    }

    #[test]
    fn only_labels_and_annotations_change() {
        let converted = changed(|it| {
            it["metadata"] = json!({"name": "a", "namespace": "n", "uid": "1", "annotations": {"c": "d"},
                                    "finalizers": ["x"]});
        });
        let expected =
            json!({"name": "a", "namespace": "n", "uid": "1", "generation": 3, "annotations": {"c": "d"}});
        assert_eq!(converted.unwrap()["metadata"], expected);
    }

    #[test]
    fn another_object_is_no_answer() {
        let prefix = "conversion webhook for example.com/v1, Kind=Widget returned invalid";
        let cases: [(&str, Value, &str); 8] = [
            ("/kind", json!("Gadget"), "object at index 0: invalid kind (expected Widget, received Gadget)"),
            (
                "/apiVersion",
                json!("example.com/v3"),
                "object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v3)",
            ),
            ("/metadata/name", json!("b"), "object: must have the same name: a != b"),
            ("/metadata/namespace", json!("m"), "object: must have the same namespace: n != m"),
            ("/metadata/uid", json!("2"), "object: must have the same UID: 1 != 2"),
            (
                "/metadata/labels",
                json!({"a": 1}),
                "metadata: metadata.labels[a] must be a string, but is int64 in converted object",
            ),
            (
                "/metadata/labels",
                json!([]),
                "metadata: invalid metadata.labels of type []interface {} in converted object",
            ),
            ("/metadata/labels", json!({"-": "b"}), "metadata: metadata.labels: Invalid value: \"-\": "),
        ];
        for (path, value, expected) in cases {
            let refused = changed(|it| *it.pointer_mut(path).unwrap() = value).unwrap_err();
            assert!(refused.starts_with(&format!("{prefix} {expected}")), "{refused}");
        }
        assert!(changed(|it| *it = json!({})).unwrap_err().starts_with("Object 'Kind' is missing in '{}'"));
    }

    #[test]
    fn an_answer_must_be_one() {
        let review = |response: Value| {
            let answer = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response});
            answered("v1", "u", answer.to_string().as_bytes())
        };
        let success = json!({"status": "Success"});
        let objects =
            review(json!({"uid": "u", "result": success, "convertedObjects": [original()]})).unwrap();
        assert_eq!(objects, [original()]);
        assert_eq!(review(json!(null)).unwrap_err(), "no response provided");
        let other = review(json!({"uid": "w", "result": success}));
        assert_eq!(other.unwrap_err(), "expected response.uid=\"u\", got \"w\"");
        let no = review(json!({"uid": "u", "result": {"status": "Failure", "message": "no"}}));
        assert_eq!(no.unwrap_err(), "no");
        let none = review(json!({"uid": "u"}));
        assert_eq!(none.unwrap_err(), "response.result.status was '', not 'Success'");
        assert_eq!(
            answered("v1", "u", b"{}").unwrap_err(),
            "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /, Kind="
        );
        let loose = json!({"response": {"result": success}}).to_string();
        assert_eq!(answered("v1beta1", "u", loose.as_bytes()).unwrap(), Vec::<Value>::new());
    }

    #[test]
    fn the_first_known_version_is_asked() {
        let versions = |all: &[&str]| version(&all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(versions(&["v9", "v1beta1", "v1"]), Some("v1beta1"));
        assert_eq!(versions(&["v9"]), None);
    }
}
