//! Where Kubernetes keeps each resource in etcd: `/registry/<resource>/<namespace>/<name>`, with the oddities
//! that older names left behind.

/// The root of all keys, if not configured otherwise.
pub const DEFAULT_ROOT: &str = "/registry";

/// Resources that are not kept under their own names.
const ODD_PLACES: [(&str, &str, &str); 6] = [
    ("", "endpoints", "services/endpoints"),
    ("", "nodes", "minions"),
    ("", "replicationcontrollers", "controllers"),
    ("", "services", "services/specs"),
    ("extensions", "ingresses", "ingress"),
    ("networking.k8s.io", "ingresses", "ingress"),
];

/// The groups whose resources are kept without the group's name. All others, which are those of custom
/// resources and of the two that define APIs, are kept under it.
const BUILT_IN_GROUPS: [&str; 21] = [
    "",
    "admissionregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// The layout of keys under a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: String,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new(DEFAULT_ROOT)
    }
}

/// A namespace or name that would lead to another place than its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{segment:?} cannot be part of a key: it must be neither empty, `.` nor `..`, nor contain `/` or `%`"
)]
pub struct UnsafeSegment {
    /// What was given.
    pub segment: String,
}

impl Layout {
    /// A layout under `root`, such as `/registry`.
    #[must_use]
    pub fn new(root: &str) -> Self {
        let root = root.trim_matches('/');
        Self { root: format!("/{root}") }
    }

    /// The prefix of all objects of a resource, with a slash at the end. `group` is empty for core.
    #[must_use]
    pub fn resource(&self, group: &str, resource: &str) -> ResourceKeys {
        let odd = ODD_PLACES.iter().find(|(g, r, _)| *g == group && *r == resource);
        let prefix = match odd {
            Some((_, _, place)) => format!("{}/{place}/", self.root),
            None if BUILT_IN_GROUPS.contains(&group) => format!("{}/{resource}/", self.root),
            None => format!("{}/{group}/{resource}/", self.root),
        };
        ResourceKeys { prefix }
    }
}

/// The keys of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceKeys {
    prefix: String,
}

impl ResourceKeys {
    /// The prefix of all its objects.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The prefix of its objects in a namespace.
    pub fn namespace(&self, namespace: &str) -> Result<String, UnsafeSegment> {
        Ok(format!("{}{}/", self.prefix, segment(namespace)?))
    }

    /// The key of one object; `namespace` is empty for a resource without.
    pub fn key(&self, namespace: &str, name: &str) -> Result<String, UnsafeSegment> {
        let (prefix, name) = (&self.prefix, segment(name)?);
        if namespace.is_empty() {
            return Ok(format!("{prefix}{name}"));
        }
        Ok(format!("{prefix}{}/{name}", segment(namespace)?))
    }

    /// Namespace (empty if there is none) and name in a key of this resource.
    #[must_use]
    pub fn parse<'a>(&self, key: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = key.strip_prefix(&self.prefix)?;
        let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
        (!name.is_empty() && !name.contains('/')).then_some((namespace, name))
    }
}

fn segment(segment: &str) -> Result<&str, UnsafeSegment> {
    let unsafe_ = matches!(segment, "" | "." | "..") || segment.contains(['/', '%']);
    if unsafe_ { Err(UnsafeSegment { segment: segment.to_owned() }) } else { Ok(segment) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_where_kubernetes_keeps_them() {
        let layout = Layout::default();
        let places = [
            ("", "pods", "/registry/pods/"),
            ("", "nodes", "/registry/minions/"),
            ("", "services", "/registry/services/specs/"),
            ("", "endpoints", "/registry/services/endpoints/"),
            ("", "replicationcontrollers", "/registry/controllers/"),
            ("", "events", "/registry/events/"),
            ("events.k8s.io", "events", "/registry/events/"),
            ("", "persistentvolumes", "/registry/persistentvolumes/"),
            ("apps", "deployments", "/registry/deployments/"),
            ("coordination.k8s.io", "leases", "/registry/leases/"),
            ("discovery.k8s.io", "endpointslices", "/registry/endpointslices/"),
            ("networking.k8s.io", "ingresses", "/registry/ingress/"),
            ("example.com", "widgets", "/registry/example.com/widgets/"),
            ("gateway.networking.k8s.io", "gateways", "/registry/gateway.networking.k8s.io/gateways/"),
            (
                "apiextensions.k8s.io",
                "customresourcedefinitions",
                "/registry/apiextensions.k8s.io/customresourcedefinitions/",
            ),
        ];
        for (group, resource, place) in places {
            assert_eq!(layout.resource(group, resource).prefix(), place);
        }
    }

    #[test]
    fn keys_are_made_and_taken_apart() {
        let pods = Layout::new("gantry/").resource("", "pods");
        assert_eq!(pods.key("default", "web").unwrap(), "/gantry/pods/default/web");
        assert_eq!(pods.namespace("default").unwrap(), "/gantry/pods/default/");
        assert_eq!(pods.parse("/gantry/pods/default/web"), Some(("default", "web")));
        let nodes = Layout::default().resource("", "nodes");
        assert_eq!(nodes.key("", "n1").unwrap(), "/registry/minions/n1");
        assert_eq!(nodes.parse("/registry/minions/n1"), Some(("", "n1")));
        assert_eq!(nodes.parse("/registry/pods/default/web"), None);
        assert_eq!(nodes.parse("/registry/minions/"), None);
    }

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        let pods = Layout::default().resource("", "pods");
        for name in ["", ".", "..", "a/b", "a%2fb"] {
            assert!(pods.key("default", name).is_err(), "{name}");
        }
        assert!(pods.key("..", "web").is_err());
    }
}
