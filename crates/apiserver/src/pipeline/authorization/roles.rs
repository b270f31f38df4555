//! The identities and what each may do.

use super::Attributes;
use crate::pipeline::User;
use crate::pipeline::class::is_health;

/// Some verbs on some resources.
struct Rule {
    verbs: &'static [&'static str],
    /// `group/resource`, the group empty for the core group; `*` for all. Subresources are named.
    resources: &'static [&'static str],
}

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "update", "patch", "delete"];
const ALL: &[&str] = &["*"];

/// Every component writes events.
const EVENTS: Rule =
    Rule { verbs: &["create", "update", "patch"], resources: &["/events", "events.k8s.io/events"] };
/// Components of which one leads have a lease.
const LEASES: Rule =
    Rule { verbs: &["get", "create", "update", "patch"], resources: &["coordination.k8s.io/leases"] };

const SCHEDULER: &[Rule] = &[
    EVENTS,
    LEASES,
    Rule {
        verbs: READ,
        resources: &[
            "/pods",
            "/nodes",
            "/namespaces",
            "/services",
            "/replicationcontrollers",
            "/persistentvolumes",
            "/persistentvolumeclaims",
            "apps/replicasets",
            "apps/statefulsets",
        ],
    },
    Rule { verbs: &["create"], resources: &["/pods/binding"] },
    Rule { verbs: &["update", "patch"], resources: &["/pods/status"] },
    Rule { verbs: &["delete"], resources: &["/pods"] },
];

/// The controllers collect garbage of every kind and empty namespaces of everything.
const CONTROLLER_MANAGER: &[Rule] = &[Rule { verbs: ALL, resources: ALL }];

const PROXY: &[Rule] = &[
    EVENTS,
    Rule {
        verbs: READ,
        resources: &["/services", "/nodes", "/endpoints", "discovery.k8s.io/endpointslices"],
    },
];

const DNS: &[Rule] = &[
    EVENTS,
    LEASES,
    Rule {
        verbs: READ,
        resources: &[
            "/services",
            "/endpoints",
            "/pods",
            "/namespaces",
            "/nodes",
            "discovery.k8s.io/endpointslices",
        ],
    },
    // It publishes its own address, as it runs outside of the cluster.
    Rule { verbs: WRITE, resources: &["/services", "/endpoints", "discovery.k8s.io/endpointslices"] },
];

const NODE: &[Rule] = &[
    EVENTS,
    Rule {
        verbs: READ,
        resources: &[
            "/pods",
            "/services",
            "/nodes",
            "/namespaces",
            "/configmaps",
            "/secrets",
            "/serviceaccounts",
            "/persistentvolumes",
            "/persistentvolumeclaims",
        ],
    },
    Rule { verbs: &["create", "delete"], resources: &["/pods"] },
    Rule { verbs: &["update", "patch"], resources: &["/pods/status"] },
];

/// What a kubelet does to objects of its own name only.
const OWN_NODE: &[Rule] = &[
    Rule { verbs: &["create", "update", "patch"], resources: &["/nodes", "/nodes/status"] },
    Rule {
        verbs: &["get", "create", "update", "patch", "delete"],
        resources: &["coordination.k8s.io/leases"],
    },
];

pub(super) fn allows(user: &User, attributes: &Attributes<'_>) -> bool {
    if user.is_in("system:masters") {
        return true;
    }
    match *attributes {
        Attributes::Path { verb, path } => {
            matches!(verb, "get" | "head")
                && (is_health(path) || user.is_authenticated() && is_discovery(path))
        }
        Attributes::Resource { verb, group, resource, subresource, namespace, name } => {
            let wanted = if subresource.is_empty() {
                format!("{group}/{resource}")
            } else {
                format!("{group}/{resource}/{subresource}")
            };
            if !user.is_authenticated() {
                return false;
            }
            if let Some(node) = user.node() {
                // A creation names its object in the body only; the node's lease is the one in this namespace.
                let own = name == node || name.is_empty() && verb == "create";
                let place = resource != "leases" || namespace == "kube-node-lease";
                return matches(NODE, verb, &wanted) || own && place && matches(OWN_NODE, verb, &wanted);
            }
            matches(role(&user.name), verb, &wanted)
        }
    }
}

fn role(name: &str) -> &'static [Rule] {
    match name {
        "system:kube-scheduler" => SCHEDULER,
        "system:kube-controller-manager" => CONTROLLER_MANAGER,
        "system:kube-proxy" => PROXY,
        "system:dns" => DNS,
        _ => &[],
    }
}

fn matches(rules: &[Rule], verb: &str, resource: &str) -> bool {
    let has = |list: &[&str], wanted: &str| list.iter().any(|item| *item == "*" || *item == wanted);
    rules.iter().any(|rule| has(rule.verbs, verb) && has(rule.resources, resource))
}

/// What tells a client what is served.
fn is_discovery(path: &str) -> bool {
    ["/api", "/apis", "/openapi", "/version"]
        .iter()
        .any(|known| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(user: &User, verb: &str, group: &str, resource: &str, subresource: &str, name: &str) -> bool {
        let namespace = if resource == "leases" { "kube-node-lease" } else { "default" };
        allows(user, &Attributes::Resource { verb, group, resource, subresource, namespace, name })
    }

    #[test]
    fn a_kubelet_writes_its_own_node_and_lease_only() {
        let node = User::authenticated("system:node:n1", ["system:nodes"]);
        assert!(may(&node, "patch", "", "nodes", "status", "n1"));
        assert!(!may(&node, "patch", "", "nodes", "status", "n2"));
        assert!(may(&node, "create", "", "nodes", "", ""));
        assert!(may(&node, "update", "coordination.k8s.io", "leases", "", "n1"));
        assert!(!may(&node, "update", "coordination.k8s.io", "leases", "", "n2"));
        assert!(!may(&node, "create", "apps", "deployments", "", ""));
    }

    #[test]
    fn components_do_their_work_and_no_more() {
        let scheduler = User::authenticated("system:kube-scheduler", []);
        assert!(may(&scheduler, "create", "", "pods", "binding", "p"));
        assert!(!may(&scheduler, "get", "", "secrets", "", "s"));
        let proxy = User::authenticated("system:kube-proxy", []);
        assert!(may(&proxy, "watch", "discovery.k8s.io", "endpointslices", "", ""));
        assert!(!may(&proxy, "update", "", "services", "", "s"));
    }

    #[test]
    fn the_anonymous_see_health_and_nothing_else() {
        let nobody = User::anonymous();
        for (path, allowed) in [("/livez", true), ("/readyz", true), ("/healthz", true), ("/version", false)]
        {
            assert_eq!(allows(&nobody, &Attributes::Path { verb: "get", path }), allowed, "{path}");
        }
        assert!(!may(&nobody, "get", "", "pods", "", "p"));
        // Only a certificate makes a component of someone.
        let claimed = User { name: "system:kube-controller-manager".into(), ..User::anonymous() };
        assert!(!may(&claimed, "get", "", "pods", "", "p"));
    }
}
