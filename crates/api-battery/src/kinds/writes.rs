//! A life of an object of a kind, in every form and with every parameter.

use serde_json::{Value, json};

use super::Served;
use super::build::{
    APPLY, JSON, JSON_PATCH, MERGE, METADATA, STRATEGIC, TABLE, TOKEN, With as _, contains, failure, forms,
    missing, name_of, object, settled, status, step, with,
};
use crate::case::Step;
use crate::expect::Expect;
use crate::protobuf::PROTOBUF;

/// Where an object of the sample is, and what it is.
struct Life<'a> {
    served: &'a Served,
    name: String,
    collection: String,
    path: String,
    body: Value,
}

pub(super) fn steps(served: &Served, sample: &Value) -> Vec<Step> {
    let name = name_of(served, sample);
    let collection = served.collection();
    let mut body = object(served, sample);
    // What is created has no status of its own.
    if let Some(fields) = body.as_object_mut() {
        fields.remove("status");
    }
    let life = Life { served, path: format!("{collection}/{name}"), name, collection, body };
    let mut steps = life.tries();
    steps.extend(life.birth());
    steps.extend(life.looks());
    if served.may("patch") {
        steps.extend(life.patches());
    }
    if served.may("update") {
        steps.extend(life.updates());
    }
    if served.may("delete") {
        steps.extend(life.deletions());
        steps.extend(life.end(step(format!("DELETE {}?gracePeriodSeconds=0", life.path), status(200))));
    }
    if served.may("deletecollection") {
        steps.extend(life.birth());
        steps.extend(life.clearances());
        let query = "labelSelector=battery%3D${ns}&gracePeriodSeconds=0";
        let list =
            json!({"kind": format!("{}List", served.kind), "items": [{"metadata": {"name": life.name}}]});
        let all = step(format!("DELETE {}?{query}", life.collection), contains(200, list));
        steps.extend(life.end(all));
    }
    steps
}

impl Life<'_> {
    fn with(&self, metadata: Value) -> Value {
        with(self.served, metadata)
    }

    fn named(&self) -> Value {
        self.with(json!({"name": self.name}))
    }

    fn post(&self, query: &str, expect: Expect) -> Step {
        step(format!("POST {}{query}", self.collection), expect).sending(JSON, &self.body)
    }

    fn send(&self, method: &str, query: &str, expect: Expect) -> Step {
        step(format!("{method} {}{query}", self.path), expect)
    }

    /// What is tried before anything is written.
    fn tries(&self) -> Vec<Step> {
        let Served { version, kind, .. } = self.served;
        let made = self.with(json!({
            "name": self.name, "uid": "<uid>", "creationTimestamp": "<time>", "resourceVersion": "<absent>",
            "managedFields": [{"manager": "tester", "operation": "Update", "time": "<time>"}],
        }));
        let laid_out =
            Expect { text: Some("~\\{\n  \"kind\": .*\n\\}\n?".to_owned()), ..contains(201, made) };
        let mut steps = vec![
            self.post("?dryRun=All&fieldManager=tester&fieldValidation=Strict&pretty=true", laid_out),
            self.send("GET", "", missing(self.served, &self.name)),
        ];
        for form in forms(self.served) {
            let expect = contains(201, self.with(json!({"name": self.name, "uid": "<uid>"})));
            steps.push(self.post("?dryRun=All", expect).sending(form, &self.body).accepting(form));
        }
        let mut wrong = self.body.clone();
        wrong["nothing"] = 1.into();
        let message = format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: unknown field \
             \"nothing\""
        );
        let refused = contains(400, json!({"reason": "BadRequest", "message": message}));
        steps.push(self.post("?fieldValidation=Strict", refused).sending(JSON, &wrong));
        let mut warned = contains(201, self.named());
        warned.headers.insert("warning".to_owned(), "299 - \"unknown field \\\"nothing\\\"\"".to_owned());
        steps.push(self.post("?dryRun=All&fieldValidation=Warn", warned).sending(JSON, &wrong));
        let ignored = contains(201, self.named());
        steps.push(self.post("?dryRun=All&fieldValidation=Ignore", ignored).sending(JSON, &wrong));
        let kind = json!({"apiVersion": "battery.example/v1", "kind": "Nothing", "metadata": {"name": "x"}});
        steps.push(self.post("", contains(400, json!({"reason": "BadRequest"}))).sending(JSON, &kind));
        steps
    }

    fn birth(&self) -> Vec<Step> {
        let made = self.with(json!({
            "name": self.name, "uid": "<uid>", "creationTimestamp": "<time>", "resourceVersion": "<rv>",
        }));
        let exists = format!("{} \"{}\" already exists", self.served.qualified(), self.name);
        let again = failure(self.served, 409, "AlreadyExists", &self.name, &exists);
        let mut steps = vec![
            self.post("", contains(201, made))
                .keeping("created", "metadata.resourceVersion")
                .keeping("uid", "metadata.uid"),
            self.post("", again),
        ];
        steps.extend(settled(self.served, &self.path));
        steps
    }

    /// Every form of an object and of a list that has it.
    fn looks(&self) -> Vec<Step> {
        let get = |expect: Expect| self.send("GET", "", expect);
        let row = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "rows": [{"cells": "<any>", "object": {
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": self.name},
        }}]});
        let partial = json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": self.name},
        });
        // Whoever watches the kind may have written a status meanwhile.
        let here = self.with(json!({"name": self.name, "resourceVersion": "<rv>"}));
        let laid_out = Some("~\\{\n  \"kind\": .*\n\\}\n?".to_owned());
        let mut steps = vec![
            self.send("GET", "?pretty=true", Expect { text: laid_out, ..contains(200, here.clone()) }),
            get(contains(200, row.clone())).accepting(TABLE),
            get(contains(200, partial.clone())).accepting(&format!("{JSON};{METADATA}")),
            get(contains(200, partial)).accepting(&format!("{PROTOBUF};{METADATA}")),
        ];
        for form in forms(self.served) {
            steps.push(get(contains(200, here.clone())).accepting(form));
        }
        let query = format!("labelSelector=battery%3D${{ns}}&fieldSelector=metadata.name%3D{}", self.name);
        let list = |expect: Expect| step(format!("GET {}?{query}", self.collection), expect);
        let found = json!({"items": [{"metadata": {"name": self.name}}]});
        steps.push(list(contains(200, row)).accepting(TABLE));
        for form in forms(self.served) {
            steps.push(list(contains(200, found.clone())).accepting(form));
        }
        let added = json!({"type": "ADDED", "object": self.named()});
        let events = Expect { lines: Some(vec![added]), ..status(200) };
        let watch = format!("GET {}?{query}&watch=true", self.collection);
        steps.push(step(watch, events).taking(1));
        steps
    }

    fn patches(&self) -> Vec<Step> {
        let query = "?dryRun=All&fieldManager=patcher&fieldValidation=Strict&pretty=false";
        let changed = || contains(200, self.with(json!({"name": self.name, "labels": {"patched": "yes"}})));
        let patch = |media_type: &str, query: &str, body: &Value| {
            self.send("PATCH", query, changed()).sending(media_type, body)
        };
        let merge = json!({"metadata": {"labels": {"patched": "yes"}}});
        let operations = json!([{"op": "add", "path": "/metadata/labels/patched", "value": "yes"}]);
        let mut applied = merge.clone();
        applied["apiVersion"] = self.served.api_version().into();
        applied["kind"] = self.served.kind.clone().into();
        let mut steps = vec![
            patch(MERGE, query, &merge),
            patch(JSON_PATCH, query, &operations),
            patch(APPLY, &format!("{query}&force=true"), &applied),
            patch(APPLY, &format!("{query}&force=false"), &applied),
        ];
        if !self.served.is_custom() {
            steps.push(patch(STRATEGIC, query, &merge));
        }
        for form in forms(self.served) {
            steps.push(patch(MERGE, "?dryRun=All", &merge).accepting(form));
        }
        // A dry run leaves the object as it was.
        let as_before = self.with(json!({"labels": {"battery": "${ns}", "patched": "<absent>"}}));
        steps.push(self.send("GET", "", contains(200, as_before)));
        steps.push(patch(MERGE, "", &merge));
        steps
    }

    fn updates(&self) -> Vec<Step> {
        let query = "?dryRun=All&fieldManager=updater&fieldValidation=Strict&pretty=false";
        let mut steps = Vec::new();
        for form in forms(self.served) {
            steps.push(
                self.send("GET", "", contains(200, self.named())).accepting(form).keeping("whole", "body:"),
            );
            steps.push(
                self.send("PUT", query, contains(200, self.named())).again(form, "whole").accepting(form),
            );
            steps.push(self.send("PUT", "", contains(200, self.named())).again(form, "whole"));
        }
        if self.served.may("patch") {
            let mut stale = self.body.clone();
            stale["metadata"]["resourceVersion"] = "${created}".into();
            let message = format!(
                "Operation cannot be fulfilled on {} \"{}\": the object has been modified; please apply your changes to \
                 the latest version and try again",
                self.served.qualified(),
                self.name
            );
            let refused = failure(self.served, 409, "Conflict", &self.name, &message);
            steps.push(self.send("PUT", "", refused).sending(JSON, &stale));
        }
        steps
    }

    /// What does not delete: dry runs, and preconditions that do not hold.
    fn deletions(&self) -> Vec<Step> {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]});
        let delete = |query: &str| self.send("DELETE", query, status(200));
        let mut steps = vec![
            delete("?dryRun=All&gracePeriodSeconds=30&propagationPolicy=Background&pretty=false"),
            delete("?dryRun=All&propagationPolicy=Foreground"),
            delete("?dryRun=All&orphanDependents=true"),
        ];
        for form in forms(self.served) {
            steps.push(delete("").sending(form, &options).accepting(form));
        }
        let preconditions = json!({"preconditions": {"uid": "battery"}});
        let message = format!(
            "Operation cannot be fulfilled on {} \"{}\": Precondition failed: UID in precondition: battery, UID in \
             object meta: ${{uid}}",
            self.served.qualified(),
            self.name
        );
        let refused = failure(self.served, 409, "Conflict", &self.name, &message);
        steps.push(self.send("DELETE", "", refused).sending(JSON, &preconditions));
        steps.push(self.send("GET", "", contains(200, self.with(json!({"uid": "${uid}"})))));
        steps
    }

    /// What does not delete a collection.
    fn clearances(&self) -> Vec<Step> {
        let own = "dryRun=All&labelSelector=battery%3D${ns}";
        let list = || contains(200, json!({"kind": format!("{}List", self.served.kind)}));
        let delete = |query: &str| step(format!("DELETE {}?{query}", self.collection), list());
        let all = "&fieldSelector=metadata.name!%3Dnone&gracePeriodSeconds=0&limit=5&pretty=false&resourceVersion=0\
                   &resourceVersionMatch=NotOlderThan&timeoutSeconds=10";
        let mut steps = vec![
            delete(&format!("{own}{all}&orphanDependents=false")),
            delete(&format!("{own}&limit=5&continue={TOKEN}&propagationPolicy=Background")),
        ];
        let refused = json!({"details": {"kind": "ListOptions", "causes": [{"field": "sendInitialEvents"}]}});
        let refused = contains(422, refused);
        steps.push(step(format!("DELETE {}?{own}&sendInitialEvents=true", self.collection), refused));
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]});
        for form in forms(self.served) {
            let query = "labelSelector=battery%3D${ns}";
            steps.push(delete(query).sending(form, &options).accepting(form));
        }
        steps.push(self.send("GET", "", contains(200, self.named())));
        steps
    }

    /// The end of the object by a request, and that it is gone.
    fn end(&self, deletion: Step) -> Vec<Step> {
        let mut steps = Vec::new();
        // Definitions are cleaned up by the server, everything else is let go.
        if self.served.may("patch") && self.served.kind != "CustomResourceDefinition" {
            let free = json!({"metadata": {"finalizers": null}});
            steps.push(self.send("PATCH", "", status(200)).sending(MERGE, &free));
        }
        steps.push(deletion);
        // Namespaces take their time.
        if self.served.kind != "Namespace" {
            steps.push(self.send("GET", "", missing(self.served, &self.name)).until());
        }
        steps
    }
}
