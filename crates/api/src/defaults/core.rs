//! The smaller kinds of the core group.

use super::text;
use crate::core::v1::{LimitRange, Namespace, Node, Secret};

/// The label by which selectors find a namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(crate) fn namespace(namespace: &mut Namespace) {
    text(&mut namespace.status.get_or_insert_default().phase, "Active");
    let meta = namespace.metadata.get_or_insert_default();
    if !meta.name.is_empty() {
        meta.labels.insert(NAME_LABEL.to_owned(), meta.name.clone());
    }
}

/// A node: all that it has can be used, unless it says otherwise.
pub(crate) fn node(node: &mut Node) {
    if let Some(status) = node.status.as_mut().filter(|status| status.allocatable.is_empty()) {
        status.allocatable.clone_from(&status.capacity);
    }
}

/// A secret. What was written as text becomes data.
pub(crate) fn secret(secret: &mut Secret) {
    text(&mut secret.r#type, "Opaque");
    for (key, value) in std::mem::take(&mut secret.string_data) {
        secret.data.insert(key, value.into_bytes().into());
    }
}

/// Limits of containers: what is not limited by default is limited by the maximum, and so on.
pub(crate) fn limit_range(range: &mut LimitRange) {
    let Some(spec) = &mut range.spec else { return };
    for item in spec.limits.iter_mut().filter(|item| item.r#type == "Container") {
        for (name, max) in &item.max {
            item.default.entry(name.clone()).or_insert_with(|| max.clone());
        }
        for (name, default) in &item.default {
            item.default_request.entry(name.clone()).or_insert_with(|| default.clone());
        }
        for (name, min) in &item.min {
            item.default_request.entry(name.clone()).or_insert_with(|| min.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_is_active_and_labelled_with_its_name() {
        let mut namespace: Namespace =
            serde_json::from_value(json!({ "metadata": { "name": "a" } })).unwrap();
        super::namespace(&mut namespace);
        assert_eq!(namespace.status.unwrap().phase, "Active");
        assert_eq!(namespace.metadata.unwrap().labels["kubernetes.io/metadata.name"], "a");
    }

    #[test]
    fn a_secrets_texts_become_data() {
        let mut secret: Secret =
            serde_json::from_value(json!({ "data": { "a": "eA==" }, "stringData": { "a": "y", "b": "z" } }))
                .unwrap();
        super::secret(&mut secret);
        assert_eq!(secret.r#type, "Opaque");
        assert_eq!((&secret.data["a"][..], &secret.data["b"][..]), (&b"y"[..], &b"z"[..]));
        assert!(secret.string_data.is_empty());
    }

    #[test]
    fn limits_follow_from_each_other() {
        let mut range: LimitRange = serde_json::from_value(json!({ "spec": { "limits": [
            { "type": "Container", "max": { "cpu": "2" }, "min": { "memory": "1Mi" } },
            { "type": "Pod", "max": { "cpu": "2" } },
        ] } }))
        .unwrap();
        limit_range(&mut range);
        let limits = range.spec.unwrap().limits;
        assert_eq!(limits[0].default["cpu"].string, "2");
        assert_eq!(limits[0].default_request["cpu"].string, "2");
        assert_eq!(limits[0].default_request["memory"].string, "1Mi");
        assert!(limits[1].default.is_empty());
    }

    #[test]
    fn a_node_may_use_all_it_has() {
        let mut node: Node =
            serde_json::from_value(json!({ "status": { "capacity": { "cpu": "2" } } })).unwrap();
        super::node(&mut node);
        assert_eq!(node.status.unwrap().allocatable["cpu"].string, "2");
    }
}
