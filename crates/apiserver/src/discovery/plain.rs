//! Discovery document by document, as clients older than the aggregated form read it.

use std::net::SocketAddr;

use gantry_api::Kind;
use serde_json::{Value, json};

use super::{
    Served, by_group, storage_version_hash, subresource_kind, subresource_verbs, subresources, verbs,
    versions_by_group,
};

/// `/api`; the server is reached at `address`.
pub(crate) fn core_versions(address: SocketAddr) -> Value {
    let addresses = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": address.to_string()}]);
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses})
}

/// `/apis`.
pub(crate) fn groups(kinds: &[&'static Kind]) -> Value {
    let groups: Vec<Value> = versions_by_group(kinds, false)
        .into_iter()
        .map(|(group, versions)| describe(group, &versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub(crate) fn group(kinds: &[&'static Kind], name: &str) -> Option<Value> {
    let (group, versions) = versions_by_group(kinds, false).into_iter().find(|(group, _)| *group == name)?;
    let mut described = describe(group, &versions);
    described["kind"] = "APIGroup".into();
    described["apiVersion"] = "v1".into();
    Some(described)
}

fn describe(group: &str, versions: &[Served]) -> Value {
    let version = |(group, version, _): &Served| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
}

/// `/api/v1` and `/apis/GROUP/VERSION`.
pub(crate) fn resources(kinds: &[&'static Kind], group: &str, version: &str) -> Option<Value> {
    let (_, _, kinds) = by_group(kinds).into_iter().find(|(g, v, _)| *g == group && *v == version)?;
    let resources: Vec<Value> = kinds.into_iter().flat_map(of_kind).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    if !group.is_empty() {
        // Older than the rule that every object names its version, and kept so.
        list["apiVersion"] = "v1".into();
    }
    Some(list)
}

fn of_kind(kind: &'static Kind) -> Vec<Value> {
    let mut resource = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced(),
        "kind": kind.kind,
        "verbs": verbs(kind),
    });
    if verbs(kind).contains(&"list") {
        resource["storageVersionHash"] = storage_version_hash(kind).into();
    }
    if !kind.short_names.is_empty() {
        resource["shortNames"] = kind.short_names.into();
    }
    if !kind.categories.is_empty() {
        resource["categories"] = kind.categories.into();
    }
    let mut all = vec![resource];
    for subresource in subresources(kind) {
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
