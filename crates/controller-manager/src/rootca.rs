//! The ConfigMap `kube-root-ca.crt` of each namespace: what verifies the API server's certificate, for its pods.

use std::collections::BTreeMap;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::{ConfigMap, Namespace};
use gantry_api::meta::v1::ObjectMeta;
use gantry_client::{Informer, ObjectKey, WorkQueue, controller};

use crate::{Context, Error};

/// The name of the ConfigMap, and its key.
const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";
/// What tells a reader what it is good for: the text is upstream's.
const DESCRIPTION: &str = "kubernetes.io/description";
const TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints \
                    such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
                    distributions of Kubernetes clusters.";
/// How many namespaces are looked at side by side.
const WORKERS: usize = 2;

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let Some(authority) = context.root_ca.as_deref() else {
        tracing::warn!(
            "neither --root-ca-file nor the kubeconfig has an authority: pods cannot verify the API server"
        );
        return;
    };
    let queue = WorkQueue::new("root_ca_certificate_publisher");
    let namespaces = Informer::<Namespace>::builder(&context.client).spawn(context.stop.clone());
    let maps = Informer::<ConfigMap>::builder(&context.client)
        .field_selector(&format!("metadata.name={NAME}"))
        .spawn(context.stop.clone());
    let changed = queue.clone();
    namespaces.on_event(move |event| {
        if let Some(namespace) = event.object() {
            changed.add(ObjectKey::of(&**namespace));
        }
    });
    let written = queue.clone();
    maps.on_event(move |event| {
        if let Some(map) = event.object() {
            written.add(ObjectKey::new("", map.namespace()));
        }
    });
    // A ConfigMap that is not known yet would be made again, and refused.
    if !maps.synced().await {
        return;
    }
    let shutdown = queue.clone();
    let work = controller::run(queue, WORKERS, |key| sync(context, authority, &namespaces, &maps, key));
    tokio::join!(work, async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn sync(
    context: &Context,
    authority: &str,
    namespaces: &Informer<Namespace>,
    maps: &Informer<ConfigMap>,
    key: ObjectKey,
) -> Result<Option<Duration>, Error> {
    let Some(namespace) = namespaces.store().get_key(&key) else { return Ok(None) };
    let current = maps.store().get(&key.name, NAME);
    let api = context.client.api::<ConfigMap>(&key.name);
    let written = match reconcile(&namespace, current.as_deref(), authority) {
        None => return Ok(None),
        Some(Action::Create(map)) => api.create(&map).await,
        Some(Action::Update(map)) => api.update(&map).await,
    };
    match written {
        Ok(map) => {
            maps.note(map);
            Ok(None)
        }
        // Somebody else was faster, or the namespace is going.
        Err(error)
            if error.is_already_exists() || error.is_not_found() || error.is_namespace_terminating() =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What is to be written.
#[derive(Debug, PartialEq)]
enum Action {
    Create(ConfigMap),
    Update(ConfigMap),
}

/// What the namespace lacks.
fn reconcile(namespace: &Namespace, current: Option<&ConfigMap>, authority: &str) -> Option<Action> {
    let leaves = namespace.meta().deletion_timestamp.is_some()
        || namespace.status.as_ref().is_some_and(|status| status.phase == "Terminating");
    if leaves {
        return None;
    }
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

    fn namespace(phase: &str) -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": "a"}, "status": {"phase": phase}})).unwrap()
    }

    #[test]
    fn each_namespace_has_the_authority() {
        let Some(Action::Create(made)) = reconcile(&namespace("Active"), None, "PEM") else {
            panic!("it is made");
        };
        assert_eq!((made.namespace(), made.name(), made.data[KEY].as_str()), ("a", NAME, "PEM"));
        assert!(made.meta().annotations[DESCRIPTION].starts_with("Contains a CA bundle"));
        assert_eq!(reconcile(&namespace("Active"), Some(&made), "PEM"), None);
        assert_eq!(reconcile(&namespace("Terminating"), None, "PEM"), None);
    }

    #[test]
    fn what_somebody_changes_is_changed_back() {
        let map = |value| serde_json::from_value::<ConfigMap>(value).unwrap();
        let changed = map(json!({
            "metadata": {"name": NAME, "namespace": "a", "annotations": {DESCRIPTION: "mine", "x": "y"}},
            "data": {KEY: "other", "more": "z"}
        }));
        let Some(Action::Update(new)) = reconcile(&namespace("Active"), Some(&changed), "PEM") else {
            panic!("it is written");
        };
        assert_eq!(new.data, BTreeMap::from([(KEY.to_owned(), "PEM".to_owned())]));
        assert_eq!(new.meta().annotations[DESCRIPTION], "mine");
        let bare = map(json!({"metadata": {"name": NAME, "namespace": "a"}, "data": {KEY: "PEM"}}));
        let Some(Action::Update(new)) = reconcile(&namespace("Active"), Some(&bare), "PEM") else {
            panic!("it gets its description");
        };
        assert!(new.meta().annotations.contains_key(DESCRIPTION));
    }
}
