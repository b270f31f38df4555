//! What the servers behind this one serve, merged into what this one does: by the priorities of the APIServices.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use gantry_api::apiregistration::v1::ApiService;
use gantry_api::version;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::{local, openapi};
use crate::openapi::{Document, Documents};

/// The group of the APIServices themselves is first, as upstream.
const FIRST: &str = "apiregistration.k8s.io";

/// How groups and versions are preferred.
#[derive(Debug, Clone, Default)]
pub(super) struct Priorities {
    groups: BTreeMap<String, i32>,
    versions: BTreeMap<(String, String), i32>,
}

impl Priorities {
    /// As all APIServices say. A group is preferred as the most preferred of its versions says.
    pub(super) fn of(all: &[ApiService]) -> Self {
        let mut known = Self::default();
        for spec in all.iter().filter_map(|object| object.spec.as_ref()) {
            let group = known.groups.entry(spec.group.clone()).or_default();
            *group = spec.group_priority_minimum.max(*group);
            known.versions.insert((spec.group.clone(), spec.version.clone()), spec.version_priority);
        }
        known
    }

    fn group(&self, name: &str) -> i32 {
        self.groups.get(name).copied().unwrap_or_else(|| local::group_priority(name))
    }

    fn version(&self, group: &str, version: &str) -> i32 {
        let known = self.versions.get(&(group.to_owned(), version.to_owned()));
        known.copied().unwrap_or_else(|| local::version_priority(group, version))
    }
}

/// What a server says of its group and version.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// As aggregated discovery describes it.
    pub(super) version: Value,
    /// Where its document of OpenAPI 3 is, if it has one.
    pub(super) openapi: Option<String>,
    /// The part of its document of OpenAPI 2 that matters, if it has one.
    pub(super) schema: Option<Schema>,
}

/// A part of a document, and the tag of the document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schema {
    pub(super) etag: Option<String>,
    pub(super) part: Arc<Value>,
}

/// What is known of a server's group and version.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Known {
    found: Option<Found>,
    /// Whether that was so when it was last asked.
    current: bool,
}

impl Known {
    /// Takes what was found now; nothing where it could not be asked.
    pub(super) fn take(&mut self, found: Option<Found>) {
        self.current = found.is_some();
        if found.is_some() {
            self.found = found;
        }
    }

    /// As it is shown.
    pub(super) fn version(&self, version: &str) -> Value {
        let mut shown = self.found.as_ref().map_or_else(|| json!({}), |found| found.version.clone());
        shown["version"] = version.into();
        shown["freshness"] = if self.current { "Current" } else { "Stale" }.into();
        shown
    }

    /// What was found last.
    pub(super) fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }
}

/// What the servers behind this one add to discovery.
#[derive(Default)]
pub(crate) struct Merged {
    pub(super) priorities: Priorities,
    /// Groups with their versions, as aggregated discovery describes them.
    pub(super) remotes: Vec<(String, Value)>,
    /// Where their documents of OpenAPI 3 are, by the paths that these are about, such as `apis/apps/v1`.
    pub(super) openapi: BTreeMap<String, String>,
    /// The parts of their documents of OpenAPI 2.
    pub(super) schemas: Vec<Arc<Value>>,
    /// The document of OpenAPI 2 with all of them, once somebody has asked, and the hash of the one without.
    pub(super) whole: Mutex<Option<(String, Arc<Document>)>>,
}

impl Merged {
    /// Merged into `/apis` in one document.
    pub(crate) fn aggregated(&self, document: &mut Value) {
        let Some(groups) = document["items"].as_array_mut() else { return };
        for (group, version) in &self.remotes {
            let name = |item: &Value| item["metadata"]["name"] == group.as_str();
            let versions = match groups.iter().position(name) {
                Some(index) => &mut groups[index]["versions"],
                None => {
                    groups.push(json!({"metadata": {"name": group}, "versions": []}));
                    let last = groups.len() - 1;
                    &mut groups[last]["versions"]
                }
            };
            self.put(group, versions, version.clone());
        }
        groups.sort_by_cached_key(|item| self.key(item["metadata"]["name"].as_str().unwrap_or_default()));
    }

    /// Merged into `/apis`.
    pub(crate) fn groups(&self, document: &mut Value) {
        let Some(groups) = document["groups"].as_array_mut() else { return };
        for (group, version) in &self.remotes {
            let index = match groups.iter().position(|item| item["name"] == group.as_str()) {
                Some(index) => index,
                None => {
                    groups.push(json!({"name": group, "preferredVersion": null, "versions": []}));
                    groups.len() - 1
                }
            };
            self.describe(group, &mut groups[index], version);
        }
        groups.sort_by_cached_key(|item| self.key(item["name"].as_str().unwrap_or_default()));
    }

    /// Merged into `/apis/GROUP`; nothing where nobody serves the group.
    pub(crate) fn group(&self, name: &str, document: Option<Value>) -> Option<Value> {
        let mut document = document;
        for (_, version) in self.remotes.iter().filter(|(group, _)| group == name) {
            let document = document.get_or_insert_with(|| {
                let (kind, api_version) = ("APIGroup", "v1");
                json!({"kind": kind, "apiVersion": api_version, "name": name, "versions": []})
            });
            self.describe(name, document, version);
        }
        document
    }

    /// Whether another server has the document of OpenAPI 3 of a path.
    pub(crate) fn has_openapi(&self, path: &str) -> bool {
        self.openapi.contains_key(path)
    }

    /// Merged into the index of OpenAPI 3.
    pub(crate) fn openapi(&self, document: &mut Value) {
        for (path, link) in &self.openapi {
            document["paths"][path] = json!({ "serverRelativeURL": link });
        }
    }

    /// The document of OpenAPI 2 with theirs merged into it.
    pub(crate) fn openapi_v2(&self, documents: &Documents) -> io::Result<Arc<Document>> {
        let own = documents.v2();
        if self.schemas.is_empty() {
            return Ok(own);
        }
        // Whoever comes while it is made waits for it.
        let mut whole = self.whole.lock();
        if let Some((of, made)) = &*whole
            && of == own.hash()
        {
            return Ok(Arc::clone(made));
        }
        let add = |document: &mut Value| openapi::add(document, self.schemas.iter().map(AsRef::as_ref));
        let made = documents.v2_with(add)?;
        *whole = Some((own.hash().to_owned(), Arc::clone(&made)));
        Ok(made)
    }

    /// Merged into the paths of `/`.
    pub(crate) fn paths(&self, document: &mut Value) {
        let Some(paths) = document["paths"].as_array_mut() else { return };
        for (group, version) in &self.remotes {
            let of_version = format!("/apis/{group}/{}", version["version"].as_str().unwrap_or_default());
            for path in [format!("/apis/{group}"), of_version] {
                if !paths.iter().any(|known| known == path.as_str()) {
                    paths.push(path.into());
                }
            }
        }
        paths.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }

    fn describe(&self, group: &str, item: &mut Value, version: &Value) {
        let name = version["version"].as_str().unwrap_or_default();
        let shown = json!({"groupVersion": format!("{group}/{name}"), "version": name});
        self.put(group, &mut item["versions"], shown);
        item["preferredVersion"] = item["versions"][0].clone();
    }

    /// Puts a version among those of its group, in place of one of the same name.
    fn put(&self, group: &str, versions: &mut Value, version: Value) {
        let Some(versions) = versions.as_array_mut() else { return };
        versions.retain(|known| known["version"] != version["version"]);
        versions.push(version);
        versions.sort_by_cached_key(|item| {
            let name = item["version"].as_str().unwrap_or_default().to_owned();
            (-self.priorities.version(group, &name), Ordered(name))
        });
    }

    fn key(&self, group: &str) -> (bool, i32, String) {
        (group != FIRST, -self.priorities.group(group), group.to_owned())
    }
}

/// A version, in the order of preference.
#[derive(PartialEq, Eq)]
struct Ordered(String);

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        version::order(&self.0).cmp(&version::order(&other.0))
    }
}

/// Where a server's own index of OpenAPI 3 says that the document of a path is. It must be where requests go through.
pub(super) fn openapi_link(index: &Value, path: &str) -> Option<String> {
    let link = index["paths"][path]["serverRelativeURL"].as_str()?;
    let rest = link.strip_prefix("/openapi/v3/")?.strip_prefix(path)?;
    (rest.is_empty() || rest.starts_with('?')).then(|| link.to_owned())
}

/// The version of a group as a server's own aggregated discovery describes it.
pub(super) fn of_aggregated(document: &Value, group: &str, version: &str) -> Option<Value> {
    let mut groups = document["items"].as_array()?.iter();
    let found = groups.find(|item| item["metadata"]["name"] == group)?;
    let mut versions = found["versions"].as_array()?.iter();
    versions.find(|item| item["version"] == version).filter(|item| item.is_object()).cloned()
}

/// The version of a group as its list of resources describes it.
pub(super) fn of_plain(document: &Value) -> Option<Value> {
    let mut resources: Vec<Map<String, Value>> = Vec::new();
    for one in document["resources"].as_array()? {
        let text = |field: &str| one[field].as_str().unwrap_or_default();
        let (name, subresource) = match text("name").split_once('/') {
            Some((name, subresource)) => (name, Some(subresource)),
            None => (text("name"), None),
        };
        let scope = if one["namespaced"] == true { "Namespaced" } else { "Cluster" };
        let kind = json!({"group": text("group"), "version": text("version"), "kind": text("kind")});
        let index = resources.iter().position(|known| known["resource"] == name).unwrap_or_else(|| {
            let mut new = Map::new();
            new.insert("resource".to_owned(), name.into());
            new.insert("scope".to_owned(), scope.into());
            resources.push(new);
            resources.len() - 1
        });
        let resource = &mut resources[index];
        let put = |to: &mut Map<String, Value>, field: &str, value: &Value| {
            if !value.is_null() {
                to.insert(field.to_owned(), value.clone());
            }
        };
        match subresource {
            None => {
                put(resource, "responseKind", &kind);
                put(resource, "scope", &scope.into());
                put(resource, "singularResource", &one["singularName"]);
                put(resource, "verbs", &one["verbs"]);
                put(resource, "shortNames", &one["shortNames"]);
                put(resource, "categories", &one["categories"]);
            }
            Some(subresource) => {
                let mut made = Map::new();
                made.insert("subresource".to_owned(), subresource.into());
                put(&mut made, "responseKind", &kind);
                put(&mut made, "verbs", &one["verbs"]);
                let all = resource.entry("subresources").or_insert_with(|| json!([]));
                if let Some(all) = all.as_array_mut() {
                    all.push(made.into());
                }
            }
        }
    }
    Some(json!({ "resources": resources }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged() -> Merged {
        let service = |group: &str, version: &str, of_group: i32, of_version: i32| -> ApiService {
            serde_json::from_value(json!({"spec": {
                "group": group, "version": version,
                "groupPriorityMinimum": of_group, "versionPriority": of_version,
            }}))
            .unwrap()
        };
        let all = [
            service("apps", "v1", 17_800, 15),
            service("a.example", "v1", 1000, 10),
            service("a.example", "v2", 1000, 10),
            service("z.example", "v1", 18_000, 10),
        ];
        let version = |version: &str| Known::default().version(version);
        let remotes = [("z.example", "v1"), ("a.example", "v2")];
        let remotes = remotes.map(|(group, name)| (group.to_owned(), version(name))).into();
        Merged { priorities: Priorities::of(&all), remotes, ..Merged::default() }
    }

    #[test]
    fn groups_come_by_their_priority() {
        let local = |group: &str| json!({"name": group, "versions": [{"groupVersion": format!("{group}/v1"), "version": "v1"}]});
        let mut document =
            json!({"groups": [local("apps"), local("a.example"), local("apiregistration.k8s.io")]});
        merged().groups(&mut document);
        let names: Vec<&str> =
            document["groups"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["apiregistration.k8s.io", "z.example", "apps", "a.example"]);
        let both = &document["groups"][3];
        assert_eq!(both["preferredVersion"], json!({"groupVersion": "a.example/v2", "version": "v2"}));
        assert_eq!(both["versions"].as_array().unwrap().len(), 2);
        let one = merged().group("z.example", None).unwrap();
        assert_eq!((&one["kind"], &one["preferredVersion"]["version"]), (&json!("APIGroup"), &json!("v1")));
        assert_eq!(merged().group("x.example", None), None);
    }

    #[test]
    fn what_could_not_be_asked_is_stale() {
        let mut document = json!({"items": [{"metadata": {"name": "apps"}, "versions": []}]});
        merged().aggregated(&mut document);
        let first = &document["items"][0];
        assert_eq!(first["metadata"]["name"], "z.example");
        assert_eq!(first["versions"], json!([{"version": "v1", "freshness": "Stale"}]));
        let mut known = Known::default();
        known.take(Some(Found { version: json!({"resources": [1]}), openapi: None, schema: None }));
        assert_eq!(known.version("v1")["freshness"], "Current");
        known.take(None);
        let shown = known.version("v1");
        assert_eq!(shown, json!({"version": "v1", "resources": [1], "freshness": "Stale"}));
    }

    #[test]
    fn documents_are_where_they_say() {
        let path = "apis/g/v1";
        let of = |link: &str| openapi_link(&json!({"paths": {path: {"serverRelativeURL": link}}}), path);
        let link = "/openapi/v3/apis/g/v1?hash=A";
        assert_eq!(of(link).as_deref(), Some(link));
        for elsewhere in ["https://elsewhere.example/", "/openapi/v3/apis/g/v12", "/api/v1/secrets"] {
            assert_eq!(of(elsewhere), None, "{elsewhere}");
        }
        let links = [(path.to_owned(), link.to_owned())];
        let merged = Merged { openapi: links.into(), ..merged() };
        let mut index = json!({"paths": {"api": {}}});
        merged.openapi(&mut index);
        assert_eq!(index, json!({"paths": {"api": {}, path: {"serverRelativeURL": link}}}));
        assert!(merged.has_openapi(path) && !merged.has_openapi("api"));
    }

    #[test]
    fn older_servers_describe_themselves_by_lists() {
        let list = json!({"resources": [
            {"name": "gears", "singularName": "gear", "namespaced": true, "kind": "Gear", "verbs": ["get"]},
            {"name": "gears/status", "namespaced": true, "kind": "Gear", "verbs": ["update"]},
        ]});
        let kind = json!({"group": "", "version": "", "kind": "Gear"});
        let wanted = json!({"resources": [{
            "resource": "gears", "scope": "Namespaced", "singularResource": "gear", "verbs": ["get"],
            "responseKind": kind,
            "subresources": [{"subresource": "status", "responseKind": kind, "verbs": ["update"]}],
        }]});
        assert_eq!(of_plain(&list), Some(wanted));
        assert_eq!(of_plain(&json!({})), None);
        let whole =
            json!({"items": [{"metadata": {"name": "g"}, "versions": [{"version": "v1", "resources": []}]}]});
        assert_eq!(of_aggregated(&whole, "g", "v1"), Some(json!({"version": "v1", "resources": []})));
        assert_eq!(of_aggregated(&whole, "g", "v2"), None);
    }
}
