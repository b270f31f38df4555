//! What a gRPC request is about, and whether its user may ask for it.

use gantry_api::grpc::api::ResourceRef;
use gantry_api::selector::FieldSelector;
use gantry_api::{Kind, Subresource};

use crate::authorization::{Attributes, Requester, authorize_selected};
use crate::status::{ApiError, Reason};
use crate::verbs::options::manager_of;
use crate::verbs::{Target, Verbs};

/// Who asks, as the pipeline found out.
pub(super) fn user<T>(request: &tonic::Request<T>) -> Result<Requester, ApiError> {
    let requester = request.extensions().get::<Requester>().cloned();
    requester.ok_or_else(|| ApiError::internal("the request has not passed authentication"))
}

/// The field manager of a request that names none: what its user agent calls itself first, as the libraries of gRPC put
/// their own names behind.
pub(super) fn agent<T>(request: &tonic::Request<T>) -> String {
    let agent =
        request.metadata().get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    manager_of(agent.split(' ').next().unwrap_or_default())
}

/// What the request names, authorized.
pub(super) fn resolve(
    verbs: &Verbs,
    user: &Requester,
    verb: &str,
    reference: Option<ResourceRef>,
) -> Result<(Target, Option<Subresource>), ApiError> {
    resolve_selected(verbs, user, verb, reference, "")
}

/// What the request names, authorized for what the field selector selects of it.
pub(super) fn resolve_selected(
    verbs: &Verbs,
    user: &Requester,
    verb: &str,
    reference: Option<ResourceRef>,
    field_selector: &str,
) -> Result<(Target, Option<Subresource>), ApiError> {
    let reference =
        reference.ok_or_else(|| ApiError::bad_request("ref is required: it names the resource"))?;
    let ResourceRef { group, version, resource, namespace, name, subresource } = reference;
    // One that cannot be read is refused when it is used.
    let fields = FieldSelector::parse(field_selector).unwrap_or_default();
    let selected = if name.is_empty() { fields.exact("metadata.name").unwrap_or_default() } else { &name };
    authorize_selected(
        user,
        &Attributes::Resource {
            verb,
            group: &group,
            resource: &resource,
            subresource: &subresource,
            namespace: if group.is_empty() && resource == "namespaces" { &name } else { &namespace },
            name: selected,
        },
        Some(&fields),
    )?;
    let found = verbs.catalog().by_resource(&group, &version, &resource);
    let kind = found.ok_or_else(|| unknown(&group, &version, &resource))?;
    if kind.review && verb != "create" {
        return Err(ApiError::method_not_allowed(kind, verb));
    }
    check_place(kind, verb, &namespace, &name)?;
    let subresource = match subresource.as_str() {
        "" => None,
        sub => Some(find(kind, sub)?),
    };
    check_subresource(kind, verb, subresource)?;
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

/// A subresource is one object's. Who may read those of all objects may not read the objects for that.
fn check_subresource(kind: &Kind, verb: &str, subresource: Option<Subresource>) -> Result<(), ApiError> {
    match subresource {
        Some(sub) if matches!(verb, "list" | "watch" | "deletecollection") => {
            let what = format!("{verb} of the subresource {}", sub.name());
            Err(ApiError::method_not_allowed(kind, &what))
        }
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use gantry_api::Resource as _;
    use gantry_api::core::v1::Pod;

    use super::*;

    #[test]
    fn a_collection_has_no_subresources() {
        for verb in ["list", "watch", "deletecollection"] {
            let error = check_subresource(Pod::kind(), verb, Some(Subresource::Log)).unwrap_err();
            assert_eq!(error.reason(), Reason::MethodNotAllowed, "{verb}");
            assert!(check_subresource(Pod::kind(), verb, None).is_ok(), "{verb}");
        }
        assert!(check_subresource(Pod::kind(), "get", Some(Subresource::Status)).is_ok());
    }
}
