//! Discovery in one document: `apidiscovery.k8s.io/v2`.

use gantry_api::Kind;
use serde_json::{Value, json};

use super::{Served, subresource_kind, subresource_verbs, subresources, verbs, versions_by_group};

/// `/api`: the core group.
pub(crate) fn core(kinds: &[&'static Kind]) -> Value {
    list(kinds, true)
}

/// `/apis`: the other groups.
pub(crate) fn groups(kinds: &[&'static Kind]) -> Value {
    list(kinds, false)
}

fn list(kinds: &[&'static Kind], core: bool) -> Value {
    let versions = |versions: Vec<Served>| -> Vec<Value> {
        let version = |(_, version, kinds): Served| {
            let resources: Vec<Value> = kinds.into_iter().map(resource).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        };
        versions.into_iter().map(version).collect()
    };
    let items: Vec<Value> = versions_by_group(kinds, core)
        .into_iter()
        .map(|(group, served)| {
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions(served)})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn resource(kind: &Kind) -> Value {
    let response_kind = |(group, version, kind): (&str, &str, &str)| json!({"group": group, "version": version, "kind": kind});
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": response_kind((kind.group, kind.version, kind.kind)),
        "scope": if kind.namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = kind.short_names.into();
    }
    if !kind.categories.is_empty() {
        resource["categories"] = kind.categories.into();
    }
    if !kind.subresources.is_empty() {
        let subresources = subresources(kind).into_iter().map(|subresource| {
            json!({
                "subresource": subresource.name(),
                "responseKind": response_kind(subresource_kind(kind, subresource)),
                "verbs": subresource_verbs(subresource),
            })
        });
        resource["subresources"] = subresources.collect();
    }
    resource
}
