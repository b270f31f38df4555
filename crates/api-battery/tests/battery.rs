//! The whole battery against one server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gantry_api::registry;
use gantry_api_battery::case::{self, Case, User};
use gantry_api_battery::kinds::{self, Samples};
use gantry_api_battery::run::{self, request};
use gantry_api_battery::subject::Subject;
use serde_json::Value;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

fn samples() -> Samples {
    kinds::samples(&directory().join("kinds")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_expected() {
    let subject = Subject::find().await.unwrap();
    let mut cases = case::load(&directory()).unwrap();
    let samples = samples();
    for served in kinds::served(subject.client()).await.unwrap() {
        cases.extend(kinds::cases(&served, &samples));
    }
    cases.extend(paths(&subject).await);
    if let Ok(wanted) = std::env::var("GANTRY_CASES") {
        cases.retain(|case| case.title.contains(&wanted));
    }
    let count = cases.len();
    let failed = run::all(subject.client(), cases).await;
    println!("{} of {count} cases are as expected", count - failed.len());
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{}", failed.len(), failed.join("\n"));
}

/// A case for each path that the server says it has.
async fn paths(subject: &Subject) -> Vec<Case> {
    let answer = subject.client().send(User::Admin, &request("GET", "/", None)).await.unwrap();
    let all: Value = serde_json::from_slice(&answer.body).unwrap();
    let case = |path: &Value| {
        let path = path.as_str().unwrap();
        let text = format!("case: path {path}\nsteps: [{{send: GET {path}, expect: {{status: 200}}}}]");
        serde_yaml_case(&text)
    };
    all["paths"].as_array().unwrap().iter().map(case).collect()
}

fn serde_yaml_case(text: &str) -> Case {
    let value: Value = serde_json::from_slice(&gantry_api::yaml::to_json(text).unwrap()).unwrap();
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_kind_has_a_sample() {
    let samples = samples();
    let missing: Vec<String> = registry::all()
        .iter()
        .filter(|kind| !samples.contains_key(&(kind.api_version(), kind.kind.to_owned())))
        // Its name follows from what it defines, and the server writes its status: see cases/definitions.yaml.
        .filter(|kind| kind.kind != "CustomResourceDefinition")
        .map(|kind| format!("{} {}", kind.api_version(), kind.kind))
        .collect();
    assert!(missing.is_empty(), "without a sample in cases/kinds: {missing:?}");
}

#[test]
fn no_two_cases_have_one_name() {
    let mut names = BTreeSet::new();
    for case in case::load(&directory()).unwrap() {
        assert!(names.insert(case.title.clone()), "{}", case.title);
    }
}
