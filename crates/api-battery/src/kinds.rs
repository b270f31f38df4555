//! Cases for every kind that the server has: made from its discovery, and from a sample of the kind.

mod build;
mod reads;
mod reviews;
mod subresources;
mod watches;
mod writes;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::case::{Case, User};
use crate::client::Client;
use crate::run::request;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A resource, as discovery shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// What is below its objects.
    pub subresources: Vec<Below>,
}

/// A subresource, as discovery shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Below {
    /// Its name.
    pub name: String,
    /// The kind of its objects.
    pub kind: String,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

impl Served {
    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    fn root(&self) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        format!("{root}/{}", self.api_version())
    }

    fn everywhere(&self) -> String {
        format!("{}/{}", self.root(), self.plural)
    }

    fn collection(&self) -> String {
        self.below(&self.root())
    }

    /// The collection's path in the old form that watches it.
    fn watched(&self) -> String {
        self.below(&format!("{}/watch", self.root()))
    }

    fn below(&self, root: &str) -> String {
        let place = if self.namespaced { "/namespaces/${ns}" } else { "" };
        format!("{root}{place}/{}", self.plural)
    }

    fn may(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// Whether its objects are questions, which are answered and not stored.
    fn is_review(&self) -> bool {
        self.verbs == ["create"]
    }

    /// Whether a definition made it.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        is_custom(&self.group)
    }

    /// `deployments.apps`.
    fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// What can be done: the verb, its method, and a path.
    #[must_use]
    pub fn operations(&self) -> Vec<(String, &'static str, String)> {
        let collection = self.collection();
        let one = format!("{collection}/x");
        let operation = |verb: &str, one: &str, all: &str| match verb {
            "get" => (verb.to_owned(), "GET", one.to_owned()),
            "update" => (verb.to_owned(), "PUT", one.to_owned()),
            "patch" => (verb.to_owned(), "PATCH", one.to_owned()),
            "delete" => (verb.to_owned(), "DELETE", one.to_owned()),
            "create" => (verb.to_owned(), "POST", all.to_owned()),
            "list" | "watch" => (verb.to_owned(), "GET", all.to_owned()),
            // `deletecollection`, and what nobody knows, which is found to be undocumented.
            _ => (verb.to_owned(), "DELETE", all.to_owned()),
        };
        let mut all: Vec<_> = self.verbs.iter().map(|verb| operation(verb, &one, &collection)).collect();
        for below in &self.subresources {
            let path = format!("{one}/{}", below.name);
            all.extend(below.verbs.iter().map(|verb| operation(verb, &path, &path)));
        }
        all
    }
}

/// Whether a group is none of Kubernetes' own.
#[must_use]
pub fn is_custom(group: &str) -> bool {
    group.contains('.') && !group.ends_with(".k8s.io")
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
                        subresources: items(&resource["subresources"]).iter().map(below).collect(),
                    });
                }
            }
        }
    }
    ensure!(!all.is_empty(), "discovery shows nothing");
    Ok(all)
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn below(value: &Value) -> Below {
    Below {
        name: text(&value["subresource"]),
        kind: text(&value["responseKind"]["kind"]),
        verbs: items(&value["verbs"]).iter().map(text).collect(),
    }
}

/// An object of each kind, by apiVersion and kind. Its status is what is written into the status, where there is one.
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
            let key = (text_of(&object, "apiVersion"), text_of(&object, "kind"));
            ensure!(!key.1.is_empty(), "{}: a sample without a kind", path.display());
            ensure!(all.insert(key.clone(), object).is_none(), "{key:?} has two samples");
        }
    }
    Ok(all)
}

/// Reads what is written into the status of samples. A file holds a list of it.
pub fn add_statuses(samples: &mut Samples, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let statuses: Vec<Value> = serde_yaml::from_str(&text).with_context(|| format!("{}", file.display()))?;
    for status in statuses {
        let key = (text_of(&status, "apiVersion"), text_of(&status, "kind"));
        let sample = samples.get_mut(&key).with_context(|| format!("{key:?} has a status and no sample"))?;
        sample["status"] = status["status"].clone();
    }
    Ok(())
}

fn text_of(object: &Value, name: &str) -> String {
    text(&object[name])
}

/// The cases of a resource, or that it has no sample.
pub fn cases(served: &Served, samples: &Samples) -> anyhow::Result<Vec<Case>> {
    let (api_version, kind) = (served.api_version(), served.kind.clone());
    let sample = samples.get(&(api_version.clone(), kind.clone()));
    let sample = sample.with_context(|| format!("{api_version} {kind} has no sample in cases/kinds"))?;
    let mut all = Vec::new();
    let mut add = |what: &str, steps| {
        let title = format!("{} of {api_version}: {what}", served.plural);
        all.push(Case { alone: false, title, steps });
    };
    if served.is_review() {
        add("questions", reviews::steps(served, sample));
        return Ok(all);
    }
    add("reads", reads::steps(served));
    add("watches", watches::steps(served));
    add("writes", writes::steps(served, sample));
    for below in &served.subresources {
        let untold = below.name == "status" && sample["status"].is_null();
        ensure!(!untold, "{api_version} {kind} has no status in statuses.yaml");
        if let Some(steps) = subresources::steps(served, below, sample) {
            add(&below.name, steps);
        }
    }
    Ok(all)
}
