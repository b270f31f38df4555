//! A node writes its own object, its own lease, its own pods and what it says of its own devices.
//!
//! The authorizer lets every node write nodes and pods, as it does not know the object; here the object is known.

use std::collections::{BTreeMap, BTreeSet};

use gantry_api::coordination::v1::Lease;
use gantry_api::core::v1::{Node, PersistentVolumeClaim, Pod};
use gantry_api::resource::v1::ResourceSlice;
use gantry_api::storage::v1::CsiNode;
use gantry_api::{Object, Subresource};

use crate::authorization::named_by;

/// A pod that a kubelet makes known, which it runs of its own accord.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Labels below these domains are the cluster's business, ...
const DOMAINS: [&str; 2] = ["kubernetes.io", "k8s.io"];
/// ... save those in these domains, ...
const OWN_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// ... and these.
const OWN_LABELS: [&str; 12] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "node.kubernetes.io/windows-build",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
];

type Verdict = Result<(), String>;

/// Whether the node may create the object.
pub(super) fn on_create(node: &str, object: &dyn Object) -> Verdict {
    if object.downcast_ref::<Node>().is_some() {
        own(node, &object.meta().name)?;
        let nothing = BTreeMap::new();
        let labels = forbidden_labels(&object.meta().labels, &nothing);
        if !labels.is_empty() {
            return Err(format!("is not allowed to set the following labels: {}", labels.join(", ")));
        }
    } else if let Some(pod) = object.downcast_ref::<Pod>() {
        return mirror(node, pod);
    } else if object.downcast_ref::<Lease>().is_some() && object.meta().name != node {
        return Err("can only access node lease with the same name as the requesting node".to_owned());
    } else if object.downcast_ref::<CsiNode>().is_some() && object.meta().name != node {
        return Err("can only access CSINode with the same name as the requesting node".to_owned());
    } else if let Some(slice) = object.downcast_ref::<ResourceSlice>() {
        return own_slice(node, slice);
    }
    Ok(())
}

fn own_slice(node: &str, slice: &ResourceSlice) -> Verdict {
    let of = slice.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    if of == Some(node) {
        Ok(())
    } else {
        Err("can only write ResourceSlice with the same NodeName as the requesting node".to_owned())
    }
}

fn own(node: &str, name: &str) -> Verdict {
    if name == node { Ok(()) } else { Err(format!("node {node:?} is not allowed to modify node {name:?}")) }
}

fn is_on(node: &str, pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name == node)
}

/// A node creates no pods but those that it runs anyway.
fn mirror(node: &str, pod: &Pod) -> Verdict {
    let nothing = Default::default();
    let meta = pod.metadata.as_ref().unwrap_or(&nothing);
    if !meta.annotations.contains_key(MIRROR) {
        return Err(format!(
            "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
        ));
    }
    if !is_on(node, pod) {
        return Err(format!("node {node:?} can only create pods with spec.nodeName set to itself"));
    }
    let owned = matches!(meta.owner_references.as_slice(), [owner]
        if owner.api_version == "v1" && owner.kind == "Node" && owner.name == node);
    if !owned {
        return Err(format!("node {node:?} can only create pods with an owner reference set to itself"));
    }
    if pod.spec.as_ref().is_some_and(|spec| !spec.service_account_name.is_empty()) {
        return Err(format!("node {node:?} can not create pods that reference a service account"));
    }
    // What its pods refer to, a node may read: it must not choose that itself.
    if let Some(object) = named_by(pod).first() {
        return Err(format!("node {node:?} can not create pods that reference the {object}"));
    }
    if pod.spec.as_ref().is_some_and(|spec| !spec.resource_claims.is_empty()) {
        return Err(format!("node {node:?} can not create pods that reference resourceclaims"));
    }
    Ok(())
}

/// Whether the node may write `new` in place of `old`.
pub(super) fn on_update(
    node: &str,
    subresource: Option<Subresource>,
    new: &dyn Object,
    old: &dyn Object,
) -> Verdict {
    if let (Some(new), Some(old)) = (new.downcast_ref::<Node>(), old.downcast_ref::<Node>()) {
        return on_node_update(node, new, old);
    }
    if let (Some(new), Some(old)) =
        (new.downcast_ref::<PersistentVolumeClaim>(), old.downcast_ref::<PersistentVolumeClaim>())
    {
        return on_claim_update(node, new, old);
    }
    if let (Some(new), Some(old)) = (new.downcast_ref::<ResourceSlice>(), old.downcast_ref::<ResourceSlice>())
    {
        return own_slice(node, old).and_then(|()| own_slice(node, new));
    }
    if let (Some(Subresource::Status), Some(pod)) = (subresource, old.downcast_ref::<Pod>()) {
        if !is_on(node, pod) {
            return Err(format!(
                "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
            ));
        }
        if new.meta().labels != old.meta().labels {
            return Err(format!("node {node:?} cannot update labels through pod status"));
        }
    }
    Ok(())
}

fn on_node_update(node: &str, new: &Node, old: &Node) -> Verdict {
    let nothing = Default::default();
    let (meta, before) =
        (new.metadata.as_ref().unwrap_or(&nothing), old.metadata.as_ref().unwrap_or(&nothing));
    own(node, &meta.name)?;
    let taints = |node: &Node| node.spec.as_ref().map(|spec| spec.taints.clone()).unwrap_or_default();
    if taints(new) != taints(old) {
        return Err(format!("node {node:?} is not allowed to modify taints"));
    }
    // They would say when it is to be deleted.
    if meta.owner_references != before.owner_references {
        return Err(format!("node {node:?} is not allowed to modify ownerReferences"));
    }
    let labels = forbidden_labels(&meta.labels, &before.labels);
    if !labels.is_empty() {
        return Err(format!("is not allowed to modify labels: {}", labels.join(", ")));
    }
    Ok(())
}

/// A node says how large a volume has become, and nothing else of its claim.
fn on_claim_update(node: &str, new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> Verdict {
    let others = |claim: &PersistentVolumeClaim| {
        let mut claim = claim.clone();
        claim.metadata.get_or_insert_default().resource_version.clear();
        let status = claim.status.get_or_insert_default();
        status.capacity.clear();
        status.conditions.clear();
        status.allocated_resources.clear();
        status.allocated_resource_statuses.clear();
        claim
    };
    if others(new) == others(old) {
        Ok(())
    } else {
        let only = "status.capacity, status.conditions and status.allocatedResources";
        Err(format!("node {node:?} is not allowed to update fields other than {only}"))
    }
}

/// Whether the node may delete the object.
pub(super) fn on_delete(node: &str, old: &dyn Object) -> Verdict {
    if let Some(slice) = old.downcast_ref::<ResourceSlice>() {
        return own_slice(node, slice);
    }
    match old.downcast_ref::<Pod>() {
        Some(pod) if !is_on(node, pod) => {
            Err(format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
        }
        _ => Ok(()),
    }
}

/// The labels that differ and that no node gives itself.
fn forbidden_labels<'a>(
    new: &'a BTreeMap<String, String>,
    old: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    let differs = |key: &&String| new.get(*key) != old.get(*key);
    let keys: BTreeSet<&String> = new.keys().chain(old.keys()).filter(differs).collect();
    keys.into_iter().map(String::as_str).filter(|key| !may_set(key)).collect()
}

fn may_set(label: &str) -> bool {
    let below = |domain: &str, of: &str| domain == of || domain.ends_with(&format!(".{of}"));
    let Some((domain, _)) = label.split_once('/') else { return true };
    !DOMAINS.iter().any(|of| below(domain, of))
        || OWN_DOMAINS.iter().any(|of| below(domain, of))
        || OWN_LABELS.contains(&label)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(name: &str, labels: Value, taints: Value) -> Node {
        let node = json!({"metadata": {"name": name, "labels": labels}, "spec": {"taints": taints}});
        serde_json::from_value(node).unwrap()
    }

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_node_writes_its_own_object() {
        let own = node("n1", json!({"kubernetes.io/os": "linux", "example.com/a": "b"}), json!([]));
        assert_eq!(on_create("n1", &own), Ok(()));
        assert_eq!(on_create("n2", &own).unwrap_err(), r#"node "n2" is not allowed to modify node "n1""#);
        let master = node("n1", json!({"node-role.kubernetes.io/control-plane": ""}), json!([]));
        assert_eq!(
            on_create("n1", &master).unwrap_err(),
            "is not allowed to set the following labels: node-role.kubernetes.io/control-plane"
        );
        assert_eq!(
            on_update("n1", None, &master, &own).unwrap_err(),
            "is not allowed to modify labels: node-role.kubernetes.io/control-plane"
        );
        let tainted = node("n1", json!({}), json!([{"key": "a", "effect": "NoSchedule"}]));
        let status = Some(Subresource::Status);
        assert_eq!(
            on_update("n1", status, &node("n1", json!({}), json!([])), &tainted).unwrap_err(),
            r#"node "n1" is not allowed to modify taints"#
        );
        assert_eq!(on_update("n1", status, &tainted, &tainted), Ok(()));
        let mut owned = own.clone();
        let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}]);
        owned.metadata.as_mut().unwrap().owner_references = serde_json::from_value(owner).unwrap();
        assert_eq!(
            on_update("n1", None, &owned, &own).unwrap_err(),
            r#"node "n1" is not allowed to modify ownerReferences"#
        );
        let lease: Lease = serde_json::from_value(json!({"metadata": {"name": "n2"}})).unwrap();
        assert!(on_create("n1", &lease).is_err() && on_create("n2", &lease).is_ok());
    }

    #[test]
    fn a_node_writes_its_own_pods() {
        let mirror = json!({
            "metadata": {
                "name": "p",
                "annotations": {"kubernetes.io/config.mirror": "x"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u"}],
            },
            "spec": {"nodeName": "n1"},
        });
        assert_eq!(on_create("n1", &pod(mirror.clone())), Ok(()));
        assert!(on_create("n2", &pod(mirror.clone())).unwrap_err().contains("spec.nodeName set to itself"));
        let mut wrong = mirror.clone();
        wrong["spec"]["serviceAccountName"] = json!("sa");
        assert!(on_create("n1", &pod(wrong)).unwrap_err().contains("reference a service account"));
        for (volume, named) in [
            (json!({"secret": {"secretName": "s"}}), "the Secret "),
            (json!({"configMap": {"name": "c"}}), "the ConfigMap "),
            (json!({"persistentVolumeClaim": {"claimName": "d"}}), "the Claim "),
        ] {
            let mut wrong = mirror.clone();
            wrong["spec"]["volumes"] = json!([volume]);
            wrong["spec"]["volumes"][0]["name"] = json!("v");
            assert!(on_create("n1", &pod(wrong)).unwrap_err().contains(named), "{named}");
        }
        let mut wrong = mirror.clone();
        wrong["spec"]["resourceClaims"] = json!([{"name": "r", "resourceClaimName": "r"}]);
        assert!(on_create("n1", &pod(wrong)).unwrap_err().contains("reference resourceclaims"));
        let mut wrong = mirror.clone();
        wrong["metadata"]["ownerReferences"][0]["apiVersion"] = json!("example.com/v1");
        assert!(on_create("n1", &pod(wrong)).unwrap_err().contains("an owner reference"));
        let mut wrong = mirror;
        wrong["metadata"]["ownerReferences"] = json!([]);
        assert!(on_create("n1", &pod(wrong)).unwrap_err().contains("an owner reference"));
        let plain = pod(json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}}));
        assert!(on_create("n1", &plain).unwrap_err().contains("can only create mirror pods"));
        let status = Some(Subresource::Status);
        assert_eq!(on_update("n1", status, &plain, &plain), Ok(()));
        assert!(on_update("n2", status, &plain, &plain).unwrap_err().contains("can only update pod status"));
        let labelled =
            pod(json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"nodeName": "n1"}}));
        assert!(on_update("n1", status, &labelled, &plain).unwrap_err().contains("cannot update labels"));
        assert_eq!(on_delete("n1", &plain), Ok(()));
        assert!(on_delete("n2", &plain).unwrap_err().contains("can only delete pods"));
    }

    #[test]
    fn a_node_says_how_large_a_volume_is() {
        let claim = |status: Value| -> PersistentVolumeClaim {
            serde_json::from_value(json!({"metadata": {"name": "c"}, "status": status})).unwrap()
        };
        let old = claim(json!({"phase": "Bound", "capacity": {"storage": "1Gi"}}));
        let status = Some(Subresource::Status);
        let larger = claim(json!({"phase": "Bound", "capacity": {"storage": "2Gi"}}));
        assert_eq!(on_update("n1", status, &larger, &old), Ok(()));
        let lost = claim(json!({"phase": "Lost", "capacity": {"storage": "1Gi"}}));
        assert!(on_update("n1", status, &lost, &old).unwrap_err().contains("fields other than"));
    }

    #[test]
    fn a_node_writes_what_its_devices_are() {
        let csi: CsiNode = serde_json::from_value(json!({"metadata": {"name": "n1"}})).unwrap();
        assert!(on_create("n1", &csi).is_ok() && on_create("n2", &csi).is_err());
        let slice = json!({"metadata": {"name": "s"}, "spec": {"nodeName": "n1", "driver": "d"}});
        let own: ResourceSlice = serde_json::from_value(slice).unwrap();
        let all = json!({"metadata": {"name": "s"}, "spec": {"allNodes": true, "driver": "d"}});
        let all: ResourceSlice = serde_json::from_value(all).unwrap();
        assert_eq!(on_create("n1", &own), Ok(()));
        assert_eq!(on_update("n1", None, &own, &own), Ok(()));
        assert_eq!(on_delete("n1", &own), Ok(()));
        assert!(on_create("n2", &own).is_err() && on_create("n1", &all).is_err());
        assert!(on_update("n1", None, &own, &all).is_err() && on_update("n1", None, &all, &own).is_err());
        assert!(on_delete("n2", &own).is_err() && on_delete("n1", &all).is_err());
    }
}
