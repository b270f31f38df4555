//! Who may do what: a fixed table of the cluster's own identities.

mod roles;

use gantry_api::meta::v1::StatusDetails;

use crate::status::{ApiError, Reason};

use super::User;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attributes<'a> {
    /// A verb on a resource.
    Resource {
        /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
        verb: &'a str,
        /// The API group; empty for the core group.
        group: &'a str,
        /// The plural name.
        resource: &'a str,
        /// The subresource; empty for the object itself.
        subresource: &'a str,
        /// The namespace; empty for the cluster and for all namespaces.
        namespace: &'a str,
        /// The object's name; empty for collections.
        name: &'a str,
    },
    /// A path that is no resource, such as `/version`.
    Path {
        /// The verb: the method in lower case.
        verb: &'a str,
        /// The path.
        path: &'a str,
    },
}

/// Whether `user` may do this; the error is the answer: 401 to who has not said who they are, else 403.
pub fn authorize(user: &User, attributes: &Attributes<'_>) -> Result<(), ApiError> {
    if roles::allows(user, attributes) {
        return Ok(());
    }
    Err(match *attributes {
        Attributes::Resource { verb, group, resource, subresource, namespace, name } => {
            let full = if subresource.is_empty() {
                resource.to_owned()
            } else {
                format!("{resource}/{subresource}")
            };
            let place = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {namespace:?}")
            };
            let detail = format!(
                "User {:?} cannot {verb} resource {full:?} in API group {group:?} {place}",
                user.name
            );
            forbidden(group, resource, name, &detail)
        }
        Attributes::Path { verb, path } => {
            let message = format!("forbidden: User {:?} cannot {verb} path {path:?}", user.name);
            ApiError::new(Reason::Forbidden, message)
        }
    })
}

/// The refusal about a resource, which need not be one that is served.
fn forbidden(group: &str, resource: &str, name: &str, detail: &str) -> ApiError {
    let mut subject = resource.to_owned();
    if !group.is_empty() {
        subject = format!("{subject}.{group}");
    }
    if !name.is_empty() {
        subject = format!("{subject} {name:?}");
    }
    let details = StatusDetails {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: resource.to_owned(),
        ..StatusDetails::default()
    };
    ApiError::new(Reason::Forbidden, format!("{subject} is forbidden: {detail}")).with_details(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_pods(namespace: &str) -> Attributes<'_> {
        Attributes::Resource {
            verb: "list",
            group: "",
            resource: "pods",
            subresource: "",
            namespace,
            name: "",
        }
    }

    #[test]
    fn refusals_read_as_upstreams() {
        let error = authorize(&User::authenticated("jane", []), &list_pods("a")).unwrap_err();
        assert_eq!(
            error.status().message,
            r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "a""#
        );
        let error = authorize(&User::anonymous(), &list_pods("")).unwrap_err();
        assert_eq!(
            error.status().message,
            r#"pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope"#
        );
        let path = Attributes::Path { verb: "get", path: "/version" };
        assert_eq!(
            authorize(&User::anonymous(), &path).unwrap_err().status().message,
            r#"forbidden: User "system:anonymous" cannot get path "/version""#
        );
    }

    #[test]
    fn masters_may_do_everything() {
        assert!(authorize(&User::authenticated("admin", ["system:masters"]), &list_pods("")).is_ok());
    }
}
