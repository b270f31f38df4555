//! The ConfigMap `kube-root-ca.crt` of each namespace: what verifies the API server's certificate, for its pods.

use std::collections::BTreeMap;

use gantry_api::Resource;
use gantry_api::core::v1::{ConfigMap, Namespace};
use gantry_api::meta::v1::ObjectMeta;

use crate::Context;
use crate::each_namespace::{self, Action};

/// The name of the ConfigMap, and its key.
const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";
/// What tells a reader what it is good for: the text is upstream's.
const DESCRIPTION: &str = "kubernetes.io/description";
const TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints \
                    such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
                    distributions of Kubernetes clusters.";

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let Some(authority) = context.root_ca.as_deref() else {
        tracing::warn!(
            "neither --root-ca-file nor the kubeconfig has an authority: pods cannot verify the API server"
        );
        return;
    };
    each_namespace::run(context, "root_ca_certificate_publisher", NAME, |namespace, current| {
        reconcile(namespace, current, authority)
    })
    .await;
}

/// What the namespace lacks.
fn reconcile(
    namespace: &Namespace,
    current: Option<&ConfigMap>,
    authority: &str,
) -> Option<Action<ConfigMap>> {
    let data = BTreeMap::from([(KEY.to_owned(), authority.to_owned())]);
    let Some(current) = current else {
        let metadata = Some(ObjectMeta {
            name: NAME.to_owned(),
            namespace: namespace.name().to_owned(),
            annotations: BTreeMap::from([(DESCRIPTION.to_owned(), TEXT.to_owned())]),
            ..ObjectMeta::default()
        });
        return Some(Action::Create(ConfigMap { metadata, data, ..ConfigMap::default() }));
    };
    // A description of somebody's own stays.
    let described = current.meta().annotations.get(DESCRIPTION).is_some_and(|text| !text.is_empty());
    if current.data == data && described {
        return None;
    }
    let mut new = current.clone();
    new.data = data;
    if !described {
        new.meta_mut().annotations.insert(DESCRIPTION.to_owned(), TEXT.to_owned());
    }
    Some(Action::Update(new))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace() -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap()
    }

    #[test]
    fn each_namespace_has_the_authority() {
        let Some(Action::Create(made)) = reconcile(&namespace(), None, "PEM") else {
            panic!("it is made");
        };
        assert_eq!((made.namespace(), made.name(), made.data[KEY].as_str()), ("a", NAME, "PEM"));
        assert!(made.meta().annotations[DESCRIPTION].starts_with("Contains a CA bundle"));
        assert_eq!(reconcile(&namespace(), Some(&made), "PEM"), None);
    }

    #[test]
    fn what_somebody_changes_is_changed_back() {
        let map = |value| serde_json::from_value::<ConfigMap>(value).unwrap();
        let changed = map(json!({
            "metadata": {"name": NAME, "namespace": "a", "annotations": {DESCRIPTION: "mine", "x": "y"}},
            "data": {KEY: "other", "more": "z"}
        }));
        let Some(Action::Update(new)) = reconcile(&namespace(), Some(&changed), "PEM") else {
            panic!("it is written");
        };
        assert_eq!(new.data, BTreeMap::from([(KEY.to_owned(), "PEM".to_owned())]));
        assert_eq!(new.meta().annotations[DESCRIPTION], "mine");
        let bare = map(json!({"metadata": {"name": NAME, "namespace": "a"}, "data": {KEY: "PEM"}}));
        let Some(Action::Update(new)) = reconcile(&namespace(), Some(&bare), "PEM") else {
            panic!("it gets its description");
        };
        assert!(new.meta().annotations.contains_key(DESCRIPTION));
    }
}
