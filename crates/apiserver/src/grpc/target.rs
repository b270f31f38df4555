//! What a gRPC request is about, and whether its user may ask for it.

use std::sync::Arc;

use gantry_api::grpc::api::ResourceRef;
use gantry_api::{Kind, Subresource};

use crate::pipeline::{Attributes, User, authorize};
use crate::status::{ApiError, Reason};
use crate::verbs::{Target, Verbs};

/// Who asks, as the pipeline found out.
pub(super) fn user<T>(request: &tonic::Request<T>) -> Arc<User> {
    request.extensions().get::<Arc<User>>().cloned().unwrap_or_else(|| Arc::new(User::anonymous()))
}

/// What the request names, authorized.
pub(super) fn resolve(
    verbs: &Verbs,
    user: &User,
    verb: &str,
    reference: Option<ResourceRef>,
) -> Result<(Target, Option<Subresource>), ApiError> {
    let reference =
        reference.ok_or_else(|| ApiError::bad_request("ref is required: it names the resource"))?;
    let ResourceRef { group, version, resource, namespace, name, subresource } = reference;
    authorize(
        user,
        &Attributes::Resource {
            verb,
            group: &group,
            resource: &resource,
            subresource: &subresource,
            namespace: &namespace,
            name: &name,
        },
    )?;
    let found = verbs.catalog().by_resource(&group, &version, &resource);
    let kind = found.ok_or_else(|| unknown(&group, &version, &resource))?;
    check_place(kind, verb, &namespace, &name)?;
    let subresource = match subresource.as_str() {
        "" => None,
        sub => Some(find(kind, sub)?),
    };
    Ok((Target { kind, namespace, name }, subresource))
}

fn unknown(group: &str, version: &str, resource: &str) -> ApiError {
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiError::new(
        Reason::NotFound,
        format!("the server could not find the requested resource ({resource} in {group_version})"),
    )
}

fn find(kind: &'static Kind, name: &str) -> Result<Subresource, ApiError> {
    kind.subresources.iter().copied().find(|sub| sub.name() == name).ok_or_else(|| {
        let message = format!("the server could not find the requested resource ({}/{name})", kind.plural);
        ApiError::about(Reason::NotFound, kind, "", message)
    })
}

fn check_place(kind: &Kind, verb: &str, namespace: &str, name: &str) -> Result<(), ApiError> {
    let across = matches!(verb, "list" | "watch");
    if !kind.namespaced() && !namespace.is_empty() {
        return Err(ApiError::bad_request(format!(
            "{} are cluster-scoped: namespace must be empty",
            kind.plural
        )));
    }
    if kind.namespaced() && namespace.is_empty() && !across {
        return Err(ApiError::bad_request(format!("namespace is required: {} live in one", kind.plural)));
    }
    if name.is_empty() && !across && !matches!(verb, "create" | "deletecollection") {
        return Err(ApiError::bad_request("name is required"));
    }
    Ok(())
}
