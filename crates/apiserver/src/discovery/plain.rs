//! Discovery document by document, as clients older than the aggregated form read it.

use gantry_api::Kind;
use serde_json::{Value, json};

use super::{by_group, subresource_kind, subresource_verbs, verbs};

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub(crate) fn groups() -> Value {
    let groups: Vec<Value> = by_group()
        .into_iter()
        .filter(|(group, _, _)| !group.is_empty())
        .map(|(group, version, _)| describe(group, version))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub(crate) fn group(name: &str) -> Option<Value> {
    let (group, version, _) =
        by_group().into_iter().find(|(group, _, _)| *group == name && !name.is_empty())?;
    let mut described = describe(group, version);
    described["kind"] = "APIGroup".into();
    described["apiVersion"] = "v1".into();
    Some(described)
}

fn describe(group: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

/// `/api/v1` and `/apis/GROUP/VERSION`.
pub(crate) fn resources(group: &str, version: &str) -> Option<Value> {
    let (_, _, kinds) = by_group().into_iter().find(|(g, v, _)| *g == group && *v == version)?;
    let resources: Vec<Value> = kinds.into_iter().flat_map(of_kind).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }))
}

fn of_kind(kind: &Kind) -> Vec<Value> {
    let mut resource = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced(),
        "kind": kind.kind,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = kind.short_names.into();
    }
    if !kind.categories.is_empty() {
        resource["categories"] = kind.categories.into();
    }
    let mut all = vec![resource];
    for &subresource in kind.subresources {
        let (group, version, name) = subresource_kind(kind, subresource);
        let mut resource = json!({
            "name": format!("{}/{}", kind.plural, subresource.name()),
            "singularName": "",
            "namespaced": kind.namespaced(),
            "kind": name,
            "verbs": subresource_verbs(subresource),
        });
        if (group, version) != (kind.group, kind.version) {
            resource["group"] = group.into();
            resource["version"] = version.into();
        }
        all.push(resource);
    }
    all
}
