//! Cases for every kind that the server has: made from its discovery, and from a sample of the kind.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::case::{Case, Step, User};
use crate::client::Client;
use crate::expect::Expect;
use crate::run::request;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const MERGE: &str = "application/merge-patch+json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A resource, as discovery shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its group; empty for the core group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// The kind of its objects.
    pub kind: String,
    /// Its plural name.
    pub plural: String,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

impl Served {
    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    fn everywhere(&self) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        format!("{root}/{}/{}", self.api_version(), self.plural)
    }

    fn collection(&self) -> String {
        if !self.namespaced {
            return self.everywhere();
        }
        let everywhere = self.everywhere();
        let root = everywhere.strip_suffix(&format!("/{}", self.plural)).unwrap_or(&everywhere);
        format!("{root}/namespaces/${{ns}}/{}", self.plural)
    }

    fn may(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

/// The resources that the server has.
pub async fn served(client: &Client) -> anyhow::Result<Vec<Served>> {
    let mut all = Vec::new();
    for path in ["/api", "/apis"] {
        let mut asked = request("GET", path, None);
        asked.headers.push(("Accept".to_owned(), AGGREGATED.to_owned()));
        let answer = client.send(User::Admin, &asked).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.text());
        let list: Value = serde_json::from_slice(&answer.body)?;
        let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for group in items(&list["items"]) {
            for version in items(&group["versions"]) {
                for resource in items(&version["resources"]) {
                    all.push(Served {
                        group: text(&group["metadata"]["name"]),
                        version: text(&version["version"]),
                        kind: text(&resource["responseKind"]["kind"]),
                        plural: text(&resource["resource"]),
                        namespaced: resource["scope"] == "Namespaced",
                        verbs: items(&resource["verbs"]).iter().map(text).collect(),
                    });
                }
            }
        }
    }
    ensure!(!all.is_empty(), "discovery shows nothing");
    Ok(all)
}

/// An object of each kind, by apiVersion and kind.
pub type Samples = BTreeMap<(String, String), Value>;

/// Reads the samples of every file in a directory. A file holds a list of objects.
pub fn samples(directory: &Path) -> anyhow::Result<Samples> {
    let mut all = Samples::new();
    for entry in std::fs::read_dir(directory).with_context(|| format!("{}", directory.display()))? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let objects: Vec<Value> =
            serde_yaml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        for object in objects {
            let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
            let key = (text("apiVersion"), text("kind"));
            ensure!(!key.1.is_empty(), "{}: a sample without a kind", path.display());
            ensure!(all.insert(key.clone(), object).is_none(), "{key:?} has two samples");
        }
    }
    Ok(all)
}

/// The cases of a resource; without a sample only those that write nothing.
#[must_use]
pub fn cases(served: &Served, samples: &Samples) -> Vec<Case> {
    let mut all = Vec::new();
    let title = |what: &str| format!("{} of {}: {what}", served.plural, served.api_version());
    if served.may("list") {
        all.push(Case { alone: false, title: title("reads"), steps: reads(served) });
    }
    if let Some(sample) = samples.get(&(served.api_version(), served.kind.clone()))
        && served.may("create")
    {
        all.push(Case { alone: false, title: title("writes"), steps: writes(served, sample) });
    }
    all
}

fn step(send: String, expect: Expect) -> Step {
    Step {
        send,
        headers: BTreeMap::new(),
        body: None,
        text: None,
        media_type: None,
        user: User::Admin,
        expect,
        keep: BTreeMap::new(),
    }
}

fn status(status: u16) -> Expect {
    Expect { status, headers: BTreeMap::new(), body: None, contains: None, lines: None, text: None }
}

fn contains(code: u16, pattern: Value) -> Expect {
    Expect { contains: Some(pattern), ..status(code) }
}

fn accepting(mut step: Step, accept: &str) -> Step {
    step.headers.insert("Accept".to_owned(), accept.to_owned());
    step
}

/// The Status of a failure about an object.
fn failure(served: &Served, code: u16, reason: &str, name: &str, message: &str) -> Expect {
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

/// `deployments.apps`.
fn qualified(served: &Served) -> String {
    if served.group.is_empty() {
        served.plural.clone()
    } else {
        format!("{}.{}", served.plural, served.group)
    }
}

fn reads(served: &Served) -> Vec<Step> {
    let (list, one) = (served.everywhere(), served.collection());
    let list_kind = json!({"kind": format!("{}List", served.kind), "apiVersion": served.api_version()});
    let get = |path: &str, expect: Expect| step(format!("GET {path}"), expect);
    let table = contains(200, json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1"}));
    let partial = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"});
    let mut binary = status(200);
    binary.headers.insert("content-type".to_owned(), PROTOBUF.to_owned());
    binary.text = Some("~k8s\0.*".to_owned());
    let name = "battery-nothing";
    let missing =
        failure(served, 404, "NotFound", name, &format!("{} \"{name}\" not found", qualified(served)));
    let mut steps = vec![
        get(&list, contains(200, list_kind.clone())),
        get(&format!("{list}?limit=1&resourceVersion=0"), contains(200, list_kind)),
        accepting(get(&list, table), TABLE),
        accepting(get(&list, contains(200, partial)), &METADATA.replace("Metadata;", "MetadataList;")),
        accepting(get(&list, binary), PROTOBUF),
        get(&format!("{one}/{name}"), missing.clone()),
    ];
    if served.may("delete") {
        steps.push(step(format!("DELETE {one}/{name}"), missing));
    }
    steps.push(step(format!("PATCH {list}"), status(405)));
    if served.may("watch") {
        let query = "watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dbattery-nothing";
        steps.push(get(&format!("{one}?{query}"), Expect { lines: Some(Vec::new()), ..status(200) }));
    }
    steps
}

fn writes(served: &Served, sample: &Value) -> Vec<Step> {
    let usual = if served.namespaced { "sample" } else { "${ns}-sample" };
    // Some kinds take no such name.
    let name = sample["metadata"]["name"].as_str().unwrap_or(usual);
    let (collection, object) = (served.collection(), format!("{}/{name}", served.collection()));
    let mut body = sample.clone();
    body["metadata"]["name"] = name.into();
    let kind = json!({"kind": served.kind, "apiVersion": served.api_version()});
    let with = |more: Value| {
        let mut pattern = kind.clone();
        pattern["metadata"] = more;
        pattern
    };
    let send = |method: &str, path: &str, expect: Expect| step(format!("{method} {path}"), expect);
    let post = |query: &str, expect: Expect| Step {
        body: Some(body.clone()),
        ..send("POST", &format!("{collection}{query}"), expect)
    };
    let patch = |change: Value, expect: Expect| Step {
        body: Some(change),
        media_type: Some(MERGE.to_owned()),
        ..send("PATCH", &object, expect)
    };
    let missing =
        failure(served, 404, "NotFound", name, &format!("{} \"{name}\" not found", qualified(served)));
    let exists = format!("{} \"{name}\" already exists", qualified(served));
    let mut created = post(
        "",
        contains(
            201,
            with(json!({
                "name": name, "uid": "<uid>", "creationTimestamp": "<time>", "resourceVersion": "<rv>",
            })),
        ),
    );
    created.keep.insert("created".to_owned(), "metadata.resourceVersion".to_owned());
    let mut steps = vec![
        post("?dryRun=All", contains(201, with(json!({"name": name, "uid": "<uid>"})))),
        send("GET", &object, missing.clone()),
        created,
        post("", failure(served, 409, "AlreadyExists", name, &exists)),
        // Whoever watches the kind may have written a status meanwhile.
        send("GET", &object, contains(200, with(json!({"name": name, "resourceVersion": "<rv>"})))),
        accepting(
            send(
                "GET",
                &object,
                contains(
                    200,
                    json!({"kind": "Table", "rows": [{"cells": "<any>", "object": {
                        "kind": "PartialObjectMetadata", "metadata": {"name": name},
                    }}]}),
                ),
            ),
            TABLE,
        ),
        accepting(
            send(
                "GET",
                &object,
                contains(
                    200,
                    json!({
                        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name},
                    }),
                ),
            ),
            METADATA,
        ),
    ];
    if served.may("patch") {
        steps.push(patch(
            json!({"metadata": {"labels": {"battery": "${ns}"}}}),
            contains(200, with(json!({"labels": {"battery": "${ns}"}, "resourceVersion": "<rv>"}))),
        ));
        let query = "labelSelector=battery%3D${ns}&fieldSelector=metadata.name%3D";
        steps.push(send(
            "GET",
            &format!("{collection}?{query}{name}"),
            contains(200, json!({"items": [{"metadata": {"name": name}}]})),
        ));
    }
    if served.may("update") && served.may("patch") {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply your changes \
             to the latest version and try again",
            qualified(served)
        );
        let mut stale = body.clone();
        stale["metadata"]["resourceVersion"] = "${created}".into();
        steps.push(Step {
            body: Some(stale),
            ..send("PUT", &object, failure(served, 409, "Conflict", name, &message))
        });
    }
    if served.may("delete") {
        steps.push(send("DELETE", &format!("{object}?dryRun=All"), status(200)));
        steps.push(patch(json!({"metadata": {"finalizers": null}}), status(200)));
        steps.push(send("DELETE", &format!("{object}?gracePeriodSeconds=0"), status(200)));
        // Namespaces take their time.
        if served.kind != "Namespace" {
            steps.push(send("GET", &object, missing));
        }
    }
    steps
}
