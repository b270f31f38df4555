//! Discovery in one document: `apidiscovery.k8s.io/v2`.

use gantry_api::Kind;
use serde_json::{Value, json};

use super::{by_group, subresource_kind, subresource_verbs, verbs};

/// `/api`: the core group.
pub(crate) fn core() -> Value {
    list(true)
}

/// `/apis`: the other groups.
pub(crate) fn groups() -> Value {
    list(false)
}

fn list(core: bool) -> Value {
    let items: Vec<Value> = by_group()
        .into_iter()
        .filter(|(group, _, _)| group.is_empty() == core)
        .map(|(group, version, kinds)| {
            let mut metadata = json!({"creationTimestamp": null});
            if !group.is_empty() {
                metadata["name"] = group.into();
            }
            let resources: Vec<Value> = kinds.into_iter().map(resource).collect();
            let version = json!({"version": version, "resources": resources, "freshness": "Current"});
            json!({"metadata": metadata, "versions": [version]})
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
        let subresources = kind.subresources.iter().map(|&subresource| {
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
