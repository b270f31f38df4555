//! What a kubelet may do: to its own objects, and to those that its pods refer to.

pub(crate) mod graph;
mod references;

pub(crate) use self::references::named_by;

use gantry_api::rbac::v1::PolicyRule;
use gantry_api::selector::FieldSelector;

use self::graph::{Graph, Object, Sort};
use super::Attributes;
use super::rbac::rules::permits;

/// Where nodes keep their leases.
const LEASES: &str = "kube-node-lease";

/// Whether the decision about these attributes looks at the graph.
pub(super) fn needs_graph(attributes: &Attributes<'_>) -> bool {
    let Attributes::Resource { group: "", resource, .. } = *attributes else { return false };
    matches!(
        resource,
        "secrets"
            | "configmaps"
            | "persistentvolumeclaims"
            | "persistentvolumes"
            | "serviceaccounts"
            | "pods"
    )
}

/// A node that asks, and what belongs to it.
pub(super) struct Asking<'a> {
    /// Its name.
    pub(super) node: &'a str,
    /// What belongs to which node.
    pub(super) graph: &'a Graph,
    /// What every node may do, where it is not divided among them.
    pub(super) rules: &'a [PolicyRule],
}

/// The parts of a request about a resource that decide.
#[derive(Clone, Copy)]
struct Request<'a> {
    verb: &'a str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

/// Whether it may; if not, why.
pub(super) type Verdict = Result<(), String>;

fn no(reason: impl Into<String>) -> Verdict {
    Err(reason.into())
}

impl Asking<'_> {
    /// Whether the node may do this to what `fields` select.
    pub(super) fn decide(&self, attributes: &Attributes<'_>, fields: Option<&FieldSelector>) -> Verdict {
        let Attributes::Resource { verb, group, resource, subresource, namespace, name } = *attributes else {
            return self.by_rules(attributes);
        };
        let request = Request { verb, subresource, namespace, name };
        match (group, resource) {
            ("", "secrets") => self.read(Sort::Secret, request),
            ("", "configmaps") => self.read(Sort::ConfigMap, request),
            ("", "persistentvolumeclaims") if subresource == "status" => self.claim_status(request),
            ("", "persistentvolumeclaims") => {
                self.get(request, |graph| graph.refers(self.node, &Object::new(Sort::Claim, namespace, name)))
            }
            ("", "persistentvolumes") => self.get(request, |graph| graph.uses_volume(self.node, name)),
            ("", "serviceaccounts") => self.token(request),
            ("coordination.k8s.io", "leases") => self.lease(request),
            ("", "nodes") => self.nodes(request),
            ("", "pods") => self.pods(request, fields),
            ("storage.k8s.io", "csinodes") => self.csi_node(request),
            ("resource.k8s.io", "resourceslices") => self.slices(request, fields),
            // Whose they are is not known here, so that they are no node's.
            ("storage.k8s.io", "volumeattachments") | ("resource.k8s.io", "resourceclaims") => {
                self.related(false)
            }
            _ => self.by_rules(attributes),
        }
    }

    fn by_rules(&self, attributes: &Attributes<'_>) -> Verdict {
        if self.rules.iter().any(|rule| permits(rule, attributes)) { Ok(()) } else { no("") }
    }

    fn related(&self, is: bool) -> Verdict {
        if is {
            Ok(())
        } else {
            no(format!("no relationship found between node '{}' and this object", self.node))
        }
    }

    fn read(&self, sort: Sort, request: Request<'_>) -> Verdict {
        let Request { verb, subresource, namespace, name } = request;
        if !matches!(verb, "get" | "list" | "watch") {
            return no("can only read resources of this type");
        }
        if !subresource.is_empty() {
            return no("cannot read subresource");
        }
        if namespace.is_empty() {
            return no("can only read namespaced object of this type");
        }
        if name.is_empty() {
            return no("No Object name found");
        }
        self.related(self.graph.refers(self.node, &Object::new(sort, namespace, name)))
    }

    fn get(&self, request: Request<'_>, related: impl Fn(&Graph) -> bool) -> Verdict {
        if request.verb != "get" {
            return no("can only get individual resources of this type");
        }
        if !request.subresource.is_empty() {
            return no("cannot get subresource");
        }
        if request.name.is_empty() {
            return no("No Object name found");
        }
        self.related(related(self.graph))
    }

    fn claim_status(&self, request: Request<'_>) -> Verdict {
        let Request { verb, namespace, name, .. } = request;
        if !matches!(verb, "update" | "patch") {
            return no("can only get/update/patch this type");
        }
        if name.is_empty() {
            return no("No Object name found");
        }
        self.related(self.graph.refers(self.node, &Object::new(Sort::Claim, namespace, name)))
    }

    fn token(&self, request: Request<'_>) -> Verdict {
        let Request { verb, subresource, namespace, name } = request;
        if verb != "create" || name.is_empty() {
            return no("can only create tokens for individual service accounts");
        }
        if subresource != "token" {
            return no("can only create token subresource of serviceaccount");
        }
        self.related(self.graph.refers(self.node, &Object::new(Sort::ServiceAccount, namespace, name)))
    }

    fn lease(&self, request: Request<'_>) -> Verdict {
        let Request { verb, namespace, name, .. } = request;
        if !matches!(verb, "get" | "create" | "update" | "patch" | "delete") {
            return no("can only get, create, update, patch, or delete a node lease");
        }
        if namespace != LEASES {
            return no(format!("can only access leases in the {LEASES:?} system namespace"));
        }
        // A creation has no name yet: admission asks for it.
        if verb != "create" && name != self.node {
            return no("can only access node lease with the same name as the requesting node");
        }
        Ok(())
    }

    fn csi_node(&self, request: Request<'_>) -> Verdict {
        let Request { verb, subresource, name, .. } = request;
        if !subresource.is_empty() {
            return no("cannot authorize CSINode subresources");
        }
        if !matches!(verb, "get" | "create" | "update" | "patch" | "delete") {
            return no("can only get, create, update, patch, or delete a CSINode");
        }
        // A creation has no name yet: admission asks for it.
        if verb != "create" && name != self.node {
            return no("can only access CSINode with the same name as the requesting node");
        }
        Ok(())
    }

    fn slices(&self, request: Request<'_>, fields: Option<&FieldSelector>) -> Verdict {
        match (request.subresource, request.verb) {
            ("", "list" | "watch" | "deletecollection") => {
                let own = fields.and_then(|fields| fields.exact("spec.nodeName")) == Some(self.node);
                let text =
                    "can only list/watch/deletecollection resourceslices with spec.nodeName field selector";
                if own { Ok(()) } else { no(text) }
            }
            // Whose slices those are, is admission's question.
            ("", "create" | "update" | "patch" | "delete") => Ok(()),
            // Nor is it known of one: a node finds its own by the selector.
            _ => self.related(false),
        }
    }

    fn nodes(&self, request: Request<'_>) -> Verdict {
        let node = self.node;
        match (request.subresource, request.verb, request.name) {
            // Which node that is, is admission's question.
            ("", "create" | "update" | "patch", _) | ("status", "update" | "patch", _) => Ok(()),
            ("", "get" | "list" | "watch", name) if name == node => Ok(()),
            ("", "get" | "list" | "watch", "") => {
                no(format!("node '{node}' cannot read all nodes, only its own Node object"))
            }
            ("", "get" | "list" | "watch", name) => {
                no(format!("node '{node}' cannot read '{name}', only its own Node object"))
            }
            _ => no(""),
        }
    }

    fn pods(&self, request: Request<'_>, fields: Option<&FieldSelector>) -> Verdict {
        let Request { verb, subresource, namespace, name } = request;
        match (subresource, verb) {
            ("", "get") => self.related(self.graph.has_pod(&format!("{namespace}/{name}"), self.node)),
            ("", "list" | "watch") => {
                let own = fields.and_then(|fields| fields.exact("spec.nodeName")) == Some(self.node);
                if own { Ok(()) } else { no("can only list/watch pods with spec.nodeName field selector") }
            }
            // Which pods those are, is admission's question.
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => no(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(verb: &str, what: &str, namespace: &str, name: &str, fields: &str) -> Verdict {
        let mut graph = Graph::default();
        let pod = json!({
            "metadata": {"namespace": "a", "name": "x"},
            "spec": {"serviceAccountName": "sa", "volumes": [{"name": "s", "secret": {"secretName": "s"}},
                     {"name": "c", "persistentVolumeClaim": {"claimName": "data"}}]},
        });
        graph.set_pod("a/x", "n1", &serde_json::from_value(pod).unwrap());
        graph.set_claim("a/data", "pv");
        let rules = json!([{"verbs": ["create"], "apiGroups": [""], "resources": ["events"]}]);
        let rules: Vec<PolicyRule> = serde_json::from_value(rules).unwrap();
        let (group, resource) = what.split_once(':').unwrap_or(("", what));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = Attributes::Resource { verb, group, resource, subresource, namespace, name };
        let fields = FieldSelector::parse(fields).unwrap();
        Asking { node: "n1", graph: &graph, rules: &rules }.decide(&attributes, Some(&fields))
    }

    fn refused(verb: &str, what: &str, namespace: &str, name: &str) -> String {
        ask(verb, what, namespace, name, "").unwrap_err()
    }

    #[test]
    fn a_node_reads_what_its_pods_refer_to() {
        for (verb, what, namespace, name) in [
            ("get", "secrets", "a", "s"),
            ("watch", "secrets", "a", "s"),
            ("get", "persistentvolumeclaims", "a", "data"),
            ("patch", "persistentvolumeclaims/status", "a", "data"),
            ("get", "persistentvolumes", "", "pv"),
            ("create", "serviceaccounts/token", "a", "sa"),
            ("get", "pods", "a", "x"),
        ] {
            assert_eq!(ask(verb, what, namespace, name, ""), Ok(()), "{verb} {what}");
        }
        let unrelated = "no relationship found between node 'n1' and this object";
        assert_eq!(refused("get", "secrets", "b", "s"), unrelated);
        assert_eq!(refused("get", "configmaps", "a", "s"), unrelated);
        assert_eq!(refused("get", "persistentvolumes", "", "other"), unrelated);
        assert_eq!(refused("get", "pods", "a", "y"), unrelated);
        assert_eq!(refused("list", "secrets", "a", ""), "No Object name found");
        assert_eq!(refused("list", "secrets", "", ""), "can only read namespaced object of this type");
        assert_eq!(refused("update", "secrets", "a", "s"), "can only read resources of this type");
        assert_eq!(
            refused("list", "persistentvolumes", "", ""),
            "can only get individual resources of this type"
        );
        assert_eq!(
            refused("get", "serviceaccounts", "a", "sa"),
            "can only create tokens for individual service accounts"
        );
    }

    #[test]
    fn a_node_has_its_own_node_lease_and_pods() {
        let leases = "coordination.k8s.io:leases";
        assert_eq!(ask("update", leases, LEASES, "n1", ""), Ok(()));
        assert_eq!(ask("create", leases, LEASES, "", ""), Ok(()));
        assert_eq!(
            refused("update", leases, LEASES, "n2"),
            "can only access node lease with the same name as the requesting node"
        );
        assert_eq!(
            refused("get", leases, "kube-system", "n1"),
            r#"can only access leases in the "kube-node-lease" system namespace"#
        );
        assert_eq!(ask("get", "nodes", "", "n1", ""), Ok(()));
        assert_eq!(ask("patch", "nodes/status", "", "n1", ""), Ok(()));
        assert_eq!(refused("get", "nodes", "", "n2"), "node 'n1' cannot read 'n2', only its own Node object");
        assert_eq!(
            refused("list", "nodes", "", ""),
            "node 'n1' cannot read all nodes, only its own Node object"
        );
        assert_eq!(refused("delete", "nodes", "", "n1"), "");
        assert_eq!(ask("list", "pods", "", "", "spec.nodeName=n1"), Ok(()));
        assert_eq!(
            ask("watch", "pods", "", "", "spec.nodeName=n2").unwrap_err(),
            refused("list", "pods", "", "")
        );
        assert_eq!(ask("delete", "pods", "a", "x", ""), Ok(()));
        assert_eq!(ask("create", "events", "a", "", ""), Ok(()));
        assert_eq!(refused("create", "pods/exec", "a", "x"), "");
        assert_eq!(refused("create", "apps:deployments", "a", ""), "");
    }

    #[test]
    fn a_node_has_its_own_devices() {
        let csi = "storage.k8s.io:csinodes";
        assert_eq!(ask("create", csi, "", "", ""), Ok(()));
        assert_eq!(ask("patch", csi, "", "n1", ""), Ok(()));
        assert_eq!(
            refused("delete", csi, "", "n2"),
            "can only access CSINode with the same name as the requesting node"
        );
        assert_eq!(refused("list", csi, "", ""), "can only get, create, update, patch, or delete a CSINode");
        let slices = "resource.k8s.io:resourceslices";
        for verb in ["list", "watch", "deletecollection"] {
            assert_eq!(ask(verb, slices, "", "", "spec.nodeName=n1"), Ok(()), "{verb}");
            assert!(ask(verb, slices, "", "", "spec.nodeName=n2").is_err(), "{verb}");
            assert!(ask(verb, slices, "", "", "").is_err(), "{verb}");
        }
        assert_eq!(ask("create", slices, "", "", ""), Ok(()));
        assert_eq!(ask("delete", slices, "", "s", ""), Ok(()));
        let unrelated = "no relationship found between node 'n1' and this object";
        assert_eq!(refused("get", slices, "", "s"), unrelated);
        assert_eq!(refused("get", "resource.k8s.io:resourceclaims", "a", "c"), unrelated);
        assert_eq!(refused("get", "storage.k8s.io:volumeattachments", "", "v"), unrelated);
    }
}
