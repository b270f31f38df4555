//! Questions: they are created to be answered, in every form and with every parameter.

use serde_json::{Value, json};

use super::Served;
use super::build::{With as _, contains, forms, step, with};
use crate::case::Step;

pub(super) fn steps(served: &Served, sample: &Value) -> Vec<Step> {
    let path = served.collection();
    let answered = || contains(201, with(served, json!({})));
    let post = |query: &str| step(format!("POST {path}?{query}"), answered());
    let mut steps = vec![
        post("dryRun=All&fieldManager=battery&fieldValidation=Strict&pretty=true")
            .sending("application/json", sample),
    ];
    for form in forms(served) {
        steps.push(post("pretty=false").sending(form, sample).accepting(form));
    }
    let mut wrong = sample.clone();
    wrong["nothing"] = 1.into();
    let version = &served.version;
    let kind = &served.kind;
    let message = format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: unknown field \
         \"nothing\""
    );
    steps.push(
        step(
            format!("POST {path}?fieldValidation=Strict"),
            contains(400, json!({"reason": "BadRequest", "message": message})),
        )
        .sending("application/json", &wrong),
    );
    // Nobody keeps questions.
    steps.push(step(format!("GET {path}"), contains(405, json!({"reason": "MethodNotAllowed"}))));
    steps
}
