//! What is served: the registry of kinds, in each of the forms that clients ask for it.

mod aggregated;
mod order;
mod plain;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::convert::stored_kind;
use gantry_api::grpc::api;
use gantry_api::{Kind, Subresource, version};
use sha2::{Digest as _, Sha256};

pub(crate) use aggregated::{core as aggregated_core, groups as aggregated_groups};
pub(crate) use plain::{core_versions, group, groups, resources};

/// The version that clients see: that of the API which is implemented, and ours behind it.
pub(crate) const GIT_VERSION: &str = concat!("v1.36.0+gantry.", env!("CARGO_PKG_VERSION"));

/// What can be done with a kind's objects.
pub(crate) fn verbs(kind: &Kind) -> &'static [&'static str] {
    if kind.review {
        &["create"]
    } else if kind.message.ends_with(".core.v1.Namespace") {
        &["create", "delete", "get", "list", "patch", "update", "watch"]
    } else {
        &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    }
}

/// What can be done with a subresource.
pub(crate) fn subresource_verbs(subresource: Subresource) -> &'static [&'static str] {
    match subresource {
        Subresource::Status
        | Subresource::Scale
        | Subresource::EphemeralContainers
        | Subresource::Resize
        | Subresource::Approval => &["get", "patch", "update"],
        Subresource::Binding | Subresource::Eviction | Subresource::Token => &["create"],
        Subresource::Log => &["get"],
        Subresource::Exec | Subresource::Attach | Subresource::PortForward => &["create", "get"],
        Subresource::Proxy => &["create", "delete", "get", "patch", "update"],
        Subresource::Finalize => &["update"],
    }
}

/// Group, version and kind of a subresource's objects.
pub(crate) fn subresource_kind(
    kind: &Kind,
    subresource: Subresource,
) -> (&'static str, &'static str, &'static str) {
    match subresource {
        Subresource::Scale => ("autoscaling", "v1", "Scale"),
        Subresource::Binding => ("", "v1", "Binding"),
        Subresource::Eviction => ("policy", "v1", "Eviction"),
        Subresource::Exec => ("", "v1", "PodExecOptions"),
        Subresource::Token => ("authentication.k8s.io", "v1", "TokenRequest"),
        Subresource::Attach => ("", "v1", "PodAttachOptions"),
        Subresource::PortForward => ("", "v1", "PodPortForwardOptions"),
        Subresource::Proxy => {
            let name = match kind.kind {
                "Node" => "NodeProxyOptions",
                "Service" => "ServiceProxyOptions",
                _ => "PodProxyOptions",
            };
            ("", "v1", name)
        }
        Subresource::Status
        | Subresource::EphemeralContainers
        | Subresource::Resize
        | Subresource::Log
        | Subresource::Finalize
        | Subresource::Approval => (kind.group, kind.version, kind.kind),
    }
}

/// Group, version and kinds.
type Served = (&'static str, &'static str, Vec<&'static Kind>);

/// The groups and versions with their kinds: groups in the order of preference, versions of a group side by side, the
/// preferred one first, kinds by their plural names.
pub(crate) fn by_group(kinds: &[&'static Kind]) -> Vec<Served> {
    let mut groups: Vec<Served> = Vec::new();
    for &kind in kinds {
        match groups.iter_mut().find(|(group, version, _)| *group == kind.group && *version == kind.version) {
            Some((_, _, kinds)) => kinds.push(kind),
            None => groups.push((kind.group, kind.version, vec![kind])),
        }
    }
    groups.sort_by_key(|(group, version, _)| (order::group(group), version::order(version)));
    for (_, _, kinds) in &mut groups {
        kinds.sort_by_key(|kind| kind.plural);
    }
    groups
}

/// The groups, core or others, each with its versions.
fn versions_by_group(kinds: &[&'static Kind], core: bool) -> Vec<(&'static str, Vec<Served>)> {
    let mut groups: Vec<(&str, Vec<Served>)> = Vec::new();
    for served in by_group(kinds).into_iter().filter(|(group, _, _)| group.is_empty() == core) {
        match groups.last_mut() {
            Some((group, versions)) if *group == served.0 => versions.push(served),
            _ => groups.push((served.0, vec![served])),
        }
    }
    groups
}

/// Changes when objects of the kind are stored as another one: clients that migrate storage compare it.
fn storage_version_hash(kind: &'static Kind) -> String {
    let stored = stored_kind(kind);
    let digest = Sha256::digest(format!("{}/{}/{}", stored.group, stored.storage_version(), stored.kind));
    STANDARD.encode(&digest[..8])
}

/// A kind's subresources by name.
fn subresources(kind: &Kind) -> Vec<Subresource> {
    let mut all = kind.subresources.to_vec();
    all.sort_by_key(|subresource| subresource.name());
    all
}

/// The answer to `Discover`.
pub(crate) fn grpc(kinds: &[&'static Kind]) -> api::DiscoverResponse {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let mut resources = Vec::new();
    for kind in kinds {
        let resource = api::Resource {
            group: kind.group.to_owned(),
            version: kind.version.to_owned(),
            resource: kind.plural.to_owned(),
            kind: kind.kind.to_owned(),
            singular: kind.singular.to_owned(),
            short_names: owned(kind.short_names),
            categories: owned(kind.categories),
            namespaced: kind.namespaced(),
            verbs: owned(verbs(kind)),
            subresource: String::new(),
            type_url: kind.type_url(),
        };
        for &subresource in kind.subresources {
            let (_, _, name) = subresource_kind(kind, subresource);
            let message = match subresource {
                Subresource::Scale => "k8s.io.api.autoscaling.v1.Scale",
                Subresource::Binding => "k8s.io.api.core.v1.Binding",
                Subresource::Token => "k8s.io.api.authentication.v1.TokenRequest",
                Subresource::Eviction => "k8s.io.api.policy.v1.Eviction",
                _ => kind.wire_message(),
            };
            resources.push(api::Resource {
                kind: name.to_owned(),
                short_names: Vec::new(),
                categories: Vec::new(),
                verbs: owned(subresource_verbs(subresource)),
                subresource: subresource.name().to_owned(),
                type_url: format!("type.googleapis.com/{message}"),
                ..resource.clone()
            });
        }
        resources.push(resource);
    }
    api::DiscoverResponse { resources, git_version: GIT_VERSION.to_owned() }
}

#[cfg(test)]
mod tests {
    use gantry_api::Resource as _;
    use gantry_api::apps::v1::Deployment;
    use gantry_api::autoscaling::{v1, v2};
    use gantry_api::core::v1::Pod;

    use super::*;

    #[test]
    fn hashes_of_storage_versions_are_upstreams() {
        assert_eq!(storage_version_hash(Pod::kind()), "xPOwRZ+Yhw8=");
        assert_eq!(storage_version_hash(Deployment::kind()), "8aSe+NMegvE=");
        assert_eq!(storage_version_hash(gantry_api::events::v1::Event::kind()), "r2yiGXH7wu8=");
        for kind in [v1::HorizontalPodAutoscaler::kind(), v2::HorizontalPodAutoscaler::kind()] {
            assert_eq!(storage_version_hash(kind), "qwQve8ut294=", "{kind:?}");
        }
    }

    #[test]
    fn the_versions_of_a_group_are_together() {
        let groups = versions_by_group(gantry_api::registry::all(), false);
        let mut names: Vec<&str> = groups.iter().map(|(group, _)| *group).collect();
        assert_eq!(names.first(), Some(&"apiregistration.k8s.io"));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
