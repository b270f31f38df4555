//! Which groups, versions and kinds a schema is of.

use serde_json::{Value, json};

use crate::registry;

/// Kinds that are served as subresources only.
const OTHERS: [(&str, &str, &str, &str); 4] = [
    ("k8s.io.api.autoscaling.v1.Scale", "autoscaling", "v1", "Scale"),
    ("k8s.io.api.core.v1.Binding", "", "v1", "Binding"),
    ("k8s.io.api.policy.v1.Eviction", "policy", "v1", "Eviction"),
    ("k8s.io.api.authentication.v1.TokenRequest", "authentication.k8s.io", "v1", "TokenRequest"),
];

/// Kinds of `meta/v1` that belong to no group of their own.
const META: [&str; 5] = ["APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"];

/// The kinds that objects of a message are; empty for what is only part of objects. With a scope, what every group has
/// is that group's alone.
pub(super) fn of(message: &str, scope: Option<(&str, &str)>) -> Vec<Value> {
    let gvk =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    if let Some((_, group, version, kind)) = OTHERS.iter().find(|other| other.0 == message) {
        return vec![gvk(group, version, kind)];
    }
    if let Some(name) = message.strip_prefix("k8s.io.apimachinery.pkg.apis.meta.v1.") {
        return match (name, scope) {
            (name, _) if META.contains(&name) => vec![gvk("", "v1", name)],
            ("DeleteOptions" | "WatchEvent", Some((group, version))) => vec![gvk(group, version, name)],
            ("DeleteOptions" | "WatchEvent", None) => {
                let mut all: Vec<Value> = Vec::new();
                for kind in registry::all().iter().chain(registry::reviews()) {
                    let of_group = gvk(kind.group, kind.version, name);
                    if !all.contains(&of_group) {
                        all.push(of_group);
                    }
                }
                all
            }
            _ => Vec::new(),
        };
    }
    let is = |kind: &&&crate::Kind, message: &str| kind.message == message;
    let mut served = registry::all().iter().chain(registry::reviews());
    if let Some(kind) = served.find(|kind| is(kind, message)) {
        return vec![gvk(kind.group, kind.version, kind.kind)];
    }
    let Some(item) = message.strip_suffix("List") else { return Vec::new() };
    let kind = registry::all().iter().find(|kind| is(kind, item));
    kind.map(|kind| gvk(kind.group, kind.version, &format!("{}List", kind.kind))).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(message: &str, scope: Option<(&str, &str)>) -> Vec<String> {
        let all = of(message, scope).into_iter();
        all.map(|gvk| format!("{}/{}", gvk["group"].as_str().unwrap(), gvk["kind"].as_str().unwrap()))
            .collect()
    }

    #[test]
    fn objects_lists_and_what_all_share() {
        assert_eq!(kinds("k8s.io.api.apps.v1.DeploymentList", None), ["apps/DeploymentList"]);
        assert_eq!(kinds("k8s.io.api.core.v1.Binding", None), ["/Binding"]);
        let options = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions";
        assert_eq!(kinds(options, Some(("apps", "v1"))), ["apps/DeleteOptions"]);
        assert!(kinds(options, None).len() > 3);
        assert!(kinds("k8s.io.api.core.v1.PodSpec", None).is_empty());
    }
}
