//! Steps, put together.

use serde_json::{Value, json};

use super::Served;
use crate::case::Step;
use crate::expect::Expect;
use crate::protobuf::PROTOBUF;

pub(super) const JSON: &str = "application/json";
pub(super) const YAML: &str = "application/yaml";
pub(super) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
pub(super) const METADATA: &str = "as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
pub(super) const METADATA_LIST: &str = "as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
pub(super) const MERGE: &str = "application/merge-patch+json";
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
pub(super) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(super) const APPLY: &str = "application/apply-patch+yaml";

/// A continue token that anybody can make: from the first key behind `a` on, at whatever is the newest version then.
pub(super) const TOKEN: &str = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYVx1MDAwMCJ9";

/// The forms that objects are written in.
pub(super) fn forms(served: &Served) -> &'static [&'static str] {
    const ALL: [&str; 3] = [JSON, YAML, PROTOBUF];
    if served.is_custom() { &ALL[..2] } else { &ALL }
}

pub(super) fn step(send: impl Into<String>, expect: Expect) -> Step {
    Step { send: send.into(), expect, ..Step::default() }
}

pub(super) fn status(status: u16) -> Expect {
    Expect { status, ..Expect::default() }
}

pub(super) fn contains(code: u16, pattern: Value) -> Expect {
    Expect { contains: Some(pattern), ..status(code) }
}

/// What a step may have besides.
pub(super) trait With: Sized {
    fn accepting(self, accept: &str) -> Self;
    fn sending(self, media_type: &str, body: &Value) -> Self;
    fn again(self, media_type: &str, name: &str) -> Self;
    fn keeping(self, name: &str, path: &str) -> Self;
    fn until(self) -> Self;
    fn taking(self, events: usize) -> Self;
}

impl With for Step {
    fn accepting(mut self, accept: &str) -> Self {
        self.headers.insert("Accept".to_owned(), accept.to_owned());
        self
    }

    fn sending(mut self, media_type: &str, body: &Value) -> Self {
        self.media_type = Some(media_type.to_owned());
        self.body = Some(body.clone());
        self
    }

    fn again(mut self, media_type: &str, name: &str) -> Self {
        self.media_type = Some(media_type.to_owned());
        self.again = Some(name.to_owned());
        self
    }

    fn keeping(mut self, name: &str, path: &str) -> Self {
        self.keep.insert(name.to_owned(), path.to_owned());
        self
    }

    fn until(mut self) -> Self {
        self.until = true;
        self
    }

    fn taking(mut self, events: usize) -> Self {
        self.take = Some(events);
        self
    }
}

/// The Status of a failure about an object.
pub(super) fn failure(served: &Served, code: u16, reason: &str, name: &str, message: &str) -> Expect {
    let mut details = json!({"name": name, "kind": served.plural});
    if !served.group.is_empty() {
        details["group"] = served.group.clone().into();
    }
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    });
    Expect { body: Some(body), ..status(code) }
}

/// Nothing has this name.
pub(super) fn missing(served: &Served, name: &str) -> Expect {
    failure(served, 404, "NotFound", name, &format!("{} \"{name}\" not found", served.qualified()))
}

/// The name of a sample; some kinds take no such name as the battery would give.
pub(super) fn name_of(served: &Served, sample: &Value) -> String {
    let usual = if served.namespaced { "sample" } else { "${ns}-sample" };
    sample["metadata"]["name"].as_str().unwrap_or(usual).to_owned()
}

/// A sample as it is created: with its name, and a label that tells it from what others make.
pub(super) fn object(served: &Served, sample: &Value) -> Value {
    let mut object = sample.clone();
    object["metadata"]["name"] = name_of(served, sample).into();
    object["metadata"]["labels"]["battery"] = "${ns}".into();
    object
}

/// What an object of the kind says about itself, and a pattern of its metadata.
pub(super) fn with(served: &Served, metadata: Value) -> Value {
    json!({"kind": served.kind, "apiVersion": served.api_version(), "metadata": metadata})
}

/// Waits for what the server says by itself about some kinds' objects, so that it is not said meanwhile.
pub(super) fn settled(served: &Served, path: &str) -> Option<Step> {
    let kinds = ["APIService", "CustomResourceDefinition", "FlowSchema"];
    let pattern = match served.kind.as_str() {
        "CustomResourceDefinition" => json!({"status": {"conditions": [
            {"type": "NamesAccepted"}, {"type": "Established", "status": "True"},
        ]}}),
        _ => json!({"status": {"conditions": "<any>"}}),
    };
    let wait = || step(format!("GET {path}"), contains(200, pattern)).until();
    kinds.contains(&served.kind.as_str()).then(wait)
}
