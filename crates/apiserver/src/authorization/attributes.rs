//! What is asked for, and how a refusal says so.

use gantry_api::meta::v1::StatusDetails;

use crate::status::{ApiError, Reason};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attributes<'a> {
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

impl Attributes<'_> {
    /// The answer to a user who may not do this; `reason` says more, where there is more to say.
    pub(crate) fn forbidden(&self, user: &str, reason: &str) -> ApiError {
        let text = escape(&self.cannot(user));
        let text = if reason.is_empty() { text } else { format!("{text}: {reason}") };
        match *self {
            Self::Resource { group, resource, name, .. } => forbidden(group, resource, name, &text),
            Self::Path { .. } => ApiError::new(Reason::Forbidden, format!("forbidden: {text}"))
                .with_details(StatusDetails::default()),
        }
    }

    fn cannot(&self, user: &str) -> String {
        match *self {
            Self::Resource { verb, group, resource, subresource, namespace, .. } => {
                let slash = if subresource.is_empty() { "" } else { "/" };
                let full = format!("{resource}{slash}{subresource}");
                let what = format!("User {user:?} cannot {verb} resource {full:?} in API group {group:?}");
                if namespace.is_empty() {
                    format!("{what} at the cluster scope")
                } else {
                    format!("{what} in the namespace {namespace:?}")
                }
            }
            Self::Path { verb, path } => format!("User {user:?} cannot {verb} path {path:?}"),
        }
    }
}

/// Names come from clients, and answers are read in browsers, too.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
        let error = list_pods("a").forbidden("jane", "");
        assert_eq!(
            error.status().message,
            r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "a""#
        );
        let error = list_pods("").forbidden("system:anonymous", "RBAC: no");
        assert_eq!(
            error.status().message,
            r#"pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope: RBAC: no"#
        );
        let log = Attributes::Resource {
            verb: "get",
            group: "",
            resource: "pods",
            subresource: "log",
            namespace: "a",
            name: "x",
        };
        assert_eq!(
            log.forbidden("<jane>", "").status().message,
            r#"pods "x" is forbidden: User "&lt;jane&gt;" cannot get resource "pods/log" in API group "" in the namespace "a""#
        );
        let path = Attributes::Path { verb: "get", path: "/version" }.forbidden("system:anonymous", "");
        assert_eq!(path.status().message, r#"forbidden: User "system:anonymous" cannot get path "/version""#);
        assert_eq!(path.status().details, Some(StatusDetails::default()));
    }
}
