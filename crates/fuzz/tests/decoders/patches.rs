//! Patches of each type, applied to an object.

use bytes::Bytes;
use gantry_api::{Kind, Resource as _, apps};
use gantry_apiserver::decoders;
use gantry_apiserver::patch::Patch;
use gantry_apiserver::verbs::PatchType;
use gantry_fuzz::{Target, mutate};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::objects::OBJECTS;
use super::{outcome, texts};

const OPERATIONS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"op\":",
    "\"add\"",
    "\"remove\"",
    "\"replace\"",
    "\"move\"",
    "\"copy\"",
    "\"test\"",
    "\"path\":",
    "\"from\":",
    "\"value\":",
    "\"/spec/template/spec/containers/0\"",
    "\"/spec/replicas\"",
    "\"/metadata/labels/a~1b\"",
    "\"/metadata/-\"",
    "\"/spec/template/spec/containers/-\"",
    "\"\"",
    "\"/\"",
    "null",
    "1",
];
const DIRECTIVES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"spec\":",
    "\"template\":",
    "\"containers\":",
    "\"name\":\"c\"",
    "\"$patch\":\"delete\"",
    "\"$patch\":\"replace\"",
    "\"$patch\":\"merge\"",
    "\"$retainKeys\":[\"name\"]",
    "\"$setElementOrder/containers\":[{\"name\":\"c\"}]",
    "\"$deleteFromPrimitiveList/finalizers\":[\"x\"]",
    "\"metadata\":",
    "\"finalizers\":[\"x\"]",
    "null",
    "\"ports\":[{\"containerPort\":80}]",
];

pub(super) fn all() -> Vec<Target> {
    let operations = texts(&[
        include_str!("../../corpus/operations.json"),
        r#"[{"op":"add","path":"/metadata/labels","value":{}},{"op":"add","path":"/metadata/labels/a~1b","value":"c"}]"#,
    ]);
    let merges = texts(&[include_str!("../../corpus/merge.json"), r#"{"spec":null}"#]);
    let strategic = texts(&[
        include_str!("../../corpus/strategic.json"),
        r#"{"metadata":{"$deleteFromPrimitiveList/finalizers":["x"],"finalizers":["y"]}}"#,
        r#"{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}"#,
    ]);
    let configurations = texts(&[
        OBJECTS[1],
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 1}\n",
    ]);
    vec![
        Target { name: "json-patch", corpus: operations, words: OPERATIONS, grammar: list, decode: json },
        Target { name: "merge-patch", corpus: merges, words: DIRECTIVES, grammar: document, decode: merge },
        Target {
            name: "strategic-patch",
            corpus: strategic,
            words: DIRECTIVES,
            grammar: document,
            decode: strategically,
        },
        Target {
            name: "configuration",
            corpus: configurations,
            words: DIRECTIVES,
            grammar: document,
            decode: configuration,
        },
    ]
}

fn kind() -> &'static Kind {
    apps::v1::Deployment::kind()
}

/// Applies a patch to a Deployment; what comes of it is decoded.
fn apply(r#type: PatchType, bytes: &[u8]) -> String {
    let patch = match Patch::parse(r#type, bytes) {
        Ok(patch) => patch,
        Err(error) => return error.to_string(),
    };
    // A real object is JSON.
    let object = serde_json::from_str(OBJECTS[1]).unwrap_or_default();
    match patch.apply(object, kind()) {
        Ok(value) => outcome(kind().decode_value(value)),
        Err(error) => error.to_string(),
    }
}

fn json(bytes: &[u8]) -> String {
    apply(PatchType::Json, bytes)
}

fn merge(bytes: &[u8]) -> String {
    apply(PatchType::Merge, bytes)
}

fn strategically(bytes: &[u8]) -> String {
    apply(PatchType::StrategicMerge, bytes)
}

fn configuration(bytes: &[u8]) -> String {
    outcome(decoders::configuration(&Bytes::copy_from_slice(bytes)))
}

fn list(random: &mut StdRng) -> Vec<u8> {
    const OPS: [&str; 7] = ["add", "remove", "replace", "move", "copy", "test", "bend"];
    const PATHS: [&str; 8] = [
        "",
        "/",
        "/spec",
        "/spec/replicas",
        "/spec/template/spec/containers/0",
        "/spec/template/spec/containers/-",
        "/metadata/x~0y",
        "/spec/template/spec/containers/99999999999999999999",
    ];
    let operation = |random: &mut StdRng| {
        let mut pick = |all: &[&'static str]| all[random.random_range(0..all.len())];
        let (op, path, from) = (pick(&OPS), pick(&PATHS), pick(&PATHS));
        format!(r#"{{"op":"{op}","path":"{path}","from":"{from}","value":{{"a":[1]}}}}"#)
    };
    let count = random.random_range(0..12);
    let operations: Vec<_> = (0..count).map(|_| operation(random)).collect();
    format!("[{}]", operations.join(",")).into_bytes()
}

fn document(random: &mut StdRng) -> Vec<u8> {
    format!("{{{}}}", mutate::some(random, DIRECTIVES, 20)).into_bytes()
}
