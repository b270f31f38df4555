//! Subresources that are objects: the object itself, of which a part is written, and its scale. What others are is
//! not the same for any two of them: their cases are written by hand.

use serde_json::{Value, json};

use super::build::{
    APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC, With as _, contains, forms, missing, name_of, object, settled,
    status, step,
};
use super::{Below, Served};
use crate::case::Step;
use crate::expect::Expect;

/// Where a subresource of a sample is, and of what it is one.
struct Part<'a> {
    served: &'a Served,
    below: &'a Below,
    name: String,
    object: String,
    path: String,
}

pub(super) fn steps(served: &Served, below: &Below, sample: &Value) -> Option<Vec<Step>> {
    let is_scale = below.kind == "Scale";
    if below.kind != served.kind && !is_scale || below.name == "log" {
        return None;
    }
    let name = name_of(served, sample);
    let path = format!("{}/{name}", served.collection());
    let part = Part { served, below, object: path.clone(), path: format!("{path}/{}", below.name), name };
    let mut body = object(served, sample);
    // What is created has no status of its own.
    let wanted = body.as_object_mut().and_then(|fields| fields.remove("status"));
    let created = step(format!("POST {}", served.collection()), status(201)).sending(JSON, &body);
    let mut steps = vec![created];
    steps.extend(settled(served, &part.object));
    steps.extend(part.reads());
    steps.extend(part.updates());
    if part.may("patch") {
        steps.extend(part.patches());
    }
    if below.name == "status"
        && let Some(wanted) = wanted
    {
        steps.extend(part.status(&wanted));
    }
    let nothing = format!("{}/battery-nothing/{}", served.collection(), below.name);
    if part.may("get") {
        steps.push(step(format!("GET {nothing}"), missing(served, "battery-nothing")));
    }
    steps.push(step(format!("DELETE {}", part.path), contains(405, json!({"reason": "MethodNotAllowed"}))));
    if served.kind != "CustomResourceDefinition" {
        let free = json!({"metadata": {"finalizers": null}});
        steps.push(step(format!("PATCH {}", part.object), status(200)).sending(MERGE, &free));
    }
    steps.push(step(format!("DELETE {}?gracePeriodSeconds=0", part.object), status(200)));
    Some(steps)
}

impl Part<'_> {
    fn may(&self, verb: &str) -> bool {
        self.below.verbs.iter().any(|known| known == verb)
    }

    fn send(&self, method: &str, query: &str, expect: Expect) -> Step {
        step(format!("{method} {}{query}", self.path), expect)
    }

    fn pattern(&self) -> Value {
        let api_version =
            if self.below.kind == "Scale" { "autoscaling/v1".to_owned() } else { self.served.api_version() };
        json!({"kind": self.below.kind, "apiVersion": api_version, "metadata": {"name": self.name}})
    }

    /// The forms that it has; a scale is a message whatever it is a scale of.
    fn forms(&self) -> &'static [&'static str] {
        forms(self.served)
    }

    fn reads(&self) -> Vec<Step> {
        if !self.may("get") {
            return Vec::new();
        }
        let laid_out = Some("~\\{\n  \"kind\": .*\n\\}\n?".to_owned());
        let mut steps = vec![self.send(
            "GET",
            "?pretty=true",
            Expect { text: laid_out, ..contains(200, self.pattern()) },
        )];
        for form in self.forms() {
            steps.push(self.send("GET", "", contains(200, self.pattern())).accepting(form));
        }
        steps
    }

    /// What was read is written.
    fn updates(&self) -> Vec<Step> {
        if !self.may("update") {
            return Vec::new();
        }
        let query = "?dryRun=All&fieldManager=updater&fieldValidation=Strict&pretty=false";
        let from = if self.may("get") { &self.path } else { &self.object };
        let mut steps = Vec::new();
        for form in self.forms() {
            let read = step(format!("GET {from}"), contains(200, self.pattern()));
            steps.push(read.accepting(form).keeping("whole", "body:"));
            let written = contains(200, self.pattern());
            steps.push(self.send("PUT", query, written).again(form, "whole").accepting(form));
        }
        steps
    }

    fn patches(&self) -> Vec<Step> {
        let query = "?dryRun=All&fieldManager=patcher&fieldValidation=Strict&pretty=false";
        let patch = |media_type: &str, query: &str, body: &Value| {
            self.send("PATCH", query, contains(200, self.pattern())).sending(media_type, body)
        };
        let nothing = json!({"metadata": {"name": self.name}});
        let mut applied = self.pattern();
        if self.below.kind == "Scale" {
            applied["spec"] = json!({"replicas": 1});
        }
        let test = json!([{"op": "test", "path": "/metadata/name", "value": self.name}]);
        let mut steps = vec![
            patch(MERGE, query, &nothing),
            patch(JSON_PATCH, query, &test),
            patch(APPLY, &format!("{query}&force=true"), &applied),
        ];
        if !self.served.is_custom() {
            steps.push(patch(STRATEGIC, query, &nothing));
        }
        for form in self.forms() {
            steps.push(patch(MERGE, "?dryRun=All", &nothing).accepting(form));
        }
        steps
    }

    /// A status is written through the subresource, and nothing of the object's own is.
    fn status(&self, wanted: &Value) -> Vec<Step> {
        let mut pattern = self.pattern();
        pattern["status"] = wanted.clone();
        let written = contains(200, pattern);
        vec![
            self.send("PATCH", "", written.clone()).sending(MERGE, &json!({"status": wanted})),
            self.send("GET", "", written.clone()),
            step(format!("GET {}", self.object), written),
        ]
    }
}
