//! The whole battery against one server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gantry_api_battery::case::{self, Case, Step, User};
use gantry_api_battery::coverage::Coverage;
use gantry_api_battery::expect::Expect;
use gantry_api_battery::kinds::{self, Served};
use gantry_api_battery::run::{self, request};
use gantry_api_battery::subject::Subject;
use gantry_api_battery::surface::Surface;
use gantry_api_battery::{definition, documents, gaps, refusals};
use serde_json::Value;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_expected_and_everything_is_asked() {
    let subject = Subject::find().await.unwrap();
    let client = subject.client();
    let definition =
        definition::serve(client, &directory().join("../definition/widgets.yaml")).await.unwrap();
    // What others have defined is not tested.
    let ours = |group: &str| !kinds::is_custom(group) || group == definition.group;
    let served = kinds::served(client).await.unwrap().into_iter().filter(|one| ours(&one.group));
    let served: Vec<Served> = served.collect();
    let surface = Surface::read(client).await.unwrap().only(|operation| ours(&operation.group));
    let roots = roots(client).await;
    let mut cases = case::load(&directory()).unwrap();
    let mut samples = kinds::samples(&directory().join("kinds")).unwrap();
    kinds::add_statuses(&mut samples, &directory().join("../statuses.yaml")).unwrap();
    for one in &served {
        cases.extend(kinds::cases(one, &samples).unwrap());
    }
    cases.extend(documents::cases(&surface));
    cases.extend(refusals::cases(&surface));
    cases.extend(roots.iter().map(|path| root(path)));
    let wanted = std::env::var("GANTRY_CASES").ok();
    if let Some(wanted) = &wanted {
        cases.retain(|case| case.title.contains(wanted));
    }
    let (count, coverage) = (cases.len(), Coverage::default());
    let failed = run::all(client, cases, &coverage).await;
    definition.remove(client).await.unwrap();
    let seen = coverage.seen();
    println!("{} of {count} cases are as expected: {} different requests", count - failed.len(), seen.len());
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{}", failed.len(), failed.join("\n"));
    if wanted.is_none() {
        let gaps = gaps::find(&surface, &served, &roots, &seen);
        println!("{} operations of {} kinds are covered", surface.operations().len(), served.len());
        assert!(gaps.is_empty(), "{} gaps:\n{}", gaps.len(), gaps.join("\n"));
    }
}

/// The paths that the server says it has.
async fn roots(client: &gantry_api_battery::client::Client) -> Vec<String> {
    let answer = client.send(User::Admin, &request("GET", "/", None)).await.unwrap();
    let all: Value = serde_json::from_slice(&answer.body).unwrap();
    let paths = all["paths"].as_array().unwrap().iter();
    paths.map(|path| path.as_str().unwrap().to_owned()).collect()
}

/// A case for a path that the server says it has.
fn root(path: &str) -> Case {
    let step = Step {
        send: format!("GET {path}"),
        expect: Expect { status: 200, ..Expect::default() },
        ..Step::default()
    };
    Case { title: format!("path {path}"), alone: false, steps: vec![step] }
}

#[test]
fn no_two_cases_have_one_name() {
    let mut names = BTreeSet::new();
    for case in case::load(&directory()).unwrap() {
        assert!(names.insert(case.title.clone()), "{}", case.title);
    }
}
