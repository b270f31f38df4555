//! The schema against independent implementations of the same API: `k8s-pb` for protobuf (Kubernetes 1.35) and
//! `k8s-openapi` for JSON (1.36). Objects are made from the descriptors, so a field or kind that is added is judged
//! without a word here, and a kind without a judge fails.
#![expect(clippy::unwrap_used, reason = "a panic in a helper is the test's report")]

mod exceptions;
mod flatten;
mod generate;
mod kinds;
mod trace;

use std::collections::BTreeSet;

use gantry_api::{Kind, Object, registry, schema};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use prost::Message;
use prost_reflect::DynamicMessage;
use serde_json::Value;

use crate::exceptions::{GONE_FROM_JSON, NUMBER_UNKNOWN, RECURSIVE, UNSET};
use crate::kinds::{JUDGES, Judge};
use crate::trace::Tracer;

/// Objects of each kind and format.
const CASES: u32 = 64;

/// Every kind, also those whose objects are never stored.
fn served() -> impl Iterator<Item = &'static Kind> {
    registry::all().iter().chain(registry::reviews()).copied()
}

fn kinds() -> impl Iterator<Item = (&'static Kind, &'static Judge)> {
    served().map(|kind| {
        let judge = JUDGES.iter().find(|judge| judge.message == kind.message);
        (kind, judge.unwrap_or_else(|| panic!("{} has no judge: add it to kinds.rs", kind.message)))
    })
}

/// Our type of a generated object.
fn object(kind: &'static Kind, message: &DynamicMessage) -> Box<dyn Object> {
    kind.decode(message.encode_to_vec().into()).unwrap()
}

fn descriptor(kind: &Kind) -> prost_reflect::MessageDescriptor {
    schema::pool().get_message_by_name(kind.message).unwrap()
}

/// Runs a check on objects of every kind: the same ones every time.
fn for_objects(without: &[&str], check: impl Fn(&Judge, &'static Kind, &dyn Object) -> Result<(), String>) {
    for (kind, judge) in kinds() {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let outcome = runner.run(&vec(any::<u8>(), 0..512), |bytes| {
            let ours = object(kind, &generate::from_bytes(&descriptor(kind), &bytes, without));
            check(judge, kind, &*ours).map_err(TestCaseError::fail)
        });
        if let Err(failure) = outcome {
            panic!("{}: {failure}", kind.message);
        }
    }
}

fn same(kind: &Kind, ours: &dyn Object, back: &dyn Object) -> Result<(), String> {
    if ours.equals(back) {
        return Ok(());
    }
    Err(format!("a {} comes back changed:\n{ours:#?}\nis now\n{back:#?}", kind.kind))
}

fn survives_protobuf(judge: &Judge, kind: &'static Kind, ours: &dyn Object) -> Result<(), String> {
    let (bytes, _) = (judge.protobuf)(&ours.encode())?;
    let back = kind.decode(bytes.into()).map_err(|error| error.to_string())?;
    same(kind, ours, &*back)
}

fn survives_json(judge: &Judge, kind: &'static Kind, ours: &dyn Object) -> Result<(), String> {
    let value = ours.to_value().map_err(|error| error.to_string())?;
    let theirs = (judge.json)(&value)?;
    let back = kind.decode_value(theirs).map_err(|error| error.to_string())?;
    same(kind, ours, &*back)?;
    let mut text = Vec::new();
    ours.write_json(&mut text).map_err(|error| error.to_string())?;
    let read = kind.decode_json(&text).map_err(|error| error.to_string())?;
    same(kind, ours, &*read)
}

/// Objects within objects name their kind in their JSON, and not in ours.
fn without_envelopes(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("metadata") {
                fields.remove("kind");
                fields.remove("apiVersion");
            }
            fields.values_mut().for_each(without_envelopes);
        }
        Value::Array(items) => items.iter_mut().for_each(without_envelopes),
        _ => {}
    }
}

/// Numbers without a fraction are written without a point, which a judge does not do.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0);
            *value = whole.map_or_else(|| value.clone(), |number| Value::from(number as i64));
        }
        _ => {}
    }
}

#[test]
fn every_judge_has_a_kind() {
    for judge in JUDGES {
        assert!(served().any(|kind| kind.message == judge.message), "{}", judge.message);
    }
    assert_eq!(kinds().count(), JUDGES.len());
}

#[test]
fn every_kind_survives_protobuf() {
    for_objects(&[], survives_protobuf);
}

#[test]
fn every_kind_survives_json() {
    for_objects(GONE_FROM_JSON, survives_json);
}

#[test]
fn protobuf_has_the_same_fields() {
    for (kind, judge) in kinds() {
        let ours = object(kind, &generate::complete(&descriptor(kind), &[]));
        survives_protobuf(judge, kind, &*ours).unwrap();
        let (_, theirs) = (judge.protobuf)(&ours.encode()).unwrap();
        let (ours, theirs) = (flatten::fields(&format!("{ours:#?}")), flatten::fields(&theirs));
        // Each value occurs once: a number that another field has shows as a value under another name.
        for (path, value) in &ours.set {
            assert_eq!(theirs.set.get(path), Some(value), "{}: {path}", kind.message);
        }
        assert_eq!(ours.set.len(), theirs.set.len(), "{}", kind.message);
        let last = |path: &String| path.rsplit('.').next().unwrap_or_default().to_owned();
        // A schema within a schema is empty.
        let unset = theirs
            .unset
            .iter()
            .filter(|path| !path.split_once(RECURSIVE).is_some_and(|(_, rest)| rest.contains('.')));
        let missing: BTreeSet<String> = unset.map(last).collect();
        let missing: Vec<&String> = missing.iter().filter(|name| !UNSET.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "{}: the schema lacks {missing:?}", kind.message);
    }
}

#[test]
fn json_has_every_field_of_the_schema() {
    for (kind, judge) in kinds() {
        let ours = object(kind, &generate::complete(&descriptor(kind), GONE_FROM_JSON)).to_value().unwrap();
        let mut theirs = (judge.json)(&ours).unwrap();
        without_envelopes(&mut theirs);
        whole_numbers(&mut theirs);
        assert_eq!(ours, theirs, "{}", kind.message);
    }
}

#[test]
fn the_schema_has_every_field_of_json() {
    let mut seen = BTreeSet::new();
    for (kind, judge) in kinds() {
        let mut tracer = Tracer::new(NUMBER_UNKNOWN);
        let mut theirs = (judge.populated)(&mut tracer).unwrap();
        seen.append(&mut tracer.seen);
        let ours = kind.decode_value(theirs.clone()).unwrap().to_value().unwrap();
        without_envelopes(&mut theirs);
        whole_numbers(&mut theirs);
        assert_eq!(ours, theirs, "{}", kind.message);
    }
    for exception in NUMBER_UNKNOWN {
        assert!(seen.contains(exception), "{exception:?} is no exception any more");
    }
}

#[test]
fn what_is_gone_is_still_in_the_schema() {
    for name in GONE_FROM_JSON {
        let (message, field) = name.rsplit_once('.').unwrap();
        let message = schema::pool().get_message_by_name(message).unwrap();
        assert!(message.get_field_by_name(field).is_some(), "{name}");
    }
}

#[test]
fn quantities_are_written_in_canonical_form() {
    let json = serde_json::json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1000m"}}}]}});
    let pod = registry::by_kind("", "v1", "Pod").unwrap().decode_value(json).unwrap();
    let text = pod.to_value().unwrap().to_string();
    assert!(text.contains(r#""limits":{"cpu":"1"}"#), "{text}");
}
