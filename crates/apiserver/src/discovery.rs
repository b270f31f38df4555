//! What is served: the registry of kinds, in each of the forms that clients ask for it.

mod aggregated;
mod plain;

use gantry_api::grpc::api;
use gantry_api::{Kind, Subresource, registry};

pub(crate) use aggregated::{core as aggregated_core, groups as aggregated_groups};
pub(crate) use plain::{core_versions, group, groups, resources};

/// The version that clients see: that of the API which is implemented, and ours behind it.
pub(crate) const GIT_VERSION: &str = concat!("v1.36.0+gantry.", env!("CARGO_PKG_VERSION"));

/// What can be done with a kind's objects.
pub(crate) fn verbs(kind: &Kind) -> &'static [&'static str] {
    if kind.message.ends_with(".core.v1.Namespace") {
        &["create", "delete", "get", "list", "patch", "update", "watch"]
    } else {
        &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    }
}

/// What can be done with a subresource.
pub(crate) fn subresource_verbs(subresource: Subresource) -> &'static [&'static str] {
    match subresource {
        Subresource::Status | Subresource::Scale => &["get", "patch", "update"],
        Subresource::Binding => &["create"],
        Subresource::Log => &["get"],
        Subresource::Exec => &["create", "get"],
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
        Subresource::Exec => ("", "v1", "PodExecOptions"),
        Subresource::Status | Subresource::Log | Subresource::Finalize => {
            (kind.group, kind.version, kind.kind)
        }
    }
}

/// The groups beside the core group, with their kinds, in the order of registration.
pub(crate) fn by_group() -> Vec<(&'static str, &'static str, Vec<&'static Kind>)> {
    let mut groups: Vec<(&str, &str, Vec<&Kind>)> = Vec::new();
    for &kind in registry::all() {
        match groups.iter_mut().find(|(group, version, _)| *group == kind.group && *version == kind.version) {
            Some((_, _, kinds)) => kinds.push(kind),
            None => groups.push((kind.group, kind.version, vec![kind])),
        }
    }
    groups
}

/// The answer to `Discover`.
pub(crate) fn grpc() -> api::DiscoverResponse {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let mut resources = Vec::new();
    for kind in registry::all() {
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
                _ => kind.message,
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
