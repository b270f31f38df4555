//! Custom resources go with their namespaces and owners as everything else does.

use gantry_api::Kind;
use gantry_api::apiextensions::v1::CustomResourceDefinition;
use gantry_api::core::v1::{ConfigMap, Namespace};
use gantry_api::meta::v1::{CreateOptions, DeleteOptions, ListOptions};
use gantry_client::{DynamicApi, PatchType};
use serde_json::{Value, json};

use crate::rig::{Cluster, eventually};

/// Defines widgets and waits until they are served.
async fn widgets(cluster: &Cluster) -> &'static Kind {
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}}},
            }}}],
        },
    }))
    .unwrap();
    cluster.admin.api::<CustomResourceDefinition>("").create(&definition).await.unwrap();
    eventually("widgets are served", async || !cluster.admin.custom_kinds().await.unwrap().is_empty()).await;
    cluster.admin.custom_resources().await.unwrap()[0]
}

async fn create(api: &DynamicApi, namespace: &str, name: &str, more: Value) -> Value {
    let mut widget = json!({"metadata": {"name": name, "namespace": namespace}, "spec": {}});
    for (field, value) in more.as_object().unwrap() {
        widget["metadata"][field] = value.clone();
    }
    let widget = api.kind().decode_value(widget).unwrap();
    api.create(&*widget, &CreateOptions::default()).await.unwrap().to_value().unwrap()
}

async fn count(api: &DynamicApi) -> usize {
    api.list(&ListOptions::default()).await.unwrap().items.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_served_over_grpc() {
    let cluster = Cluster::start().await;
    let api = cluster.admin.dynamic(widgets(&cluster).await, "default");
    let mut watch = api.watch(&ListOptions::default()).await.unwrap();
    let made = create(&api, "default", "a", json!({"labels": {"x": "y"}})).await;
    assert_eq!(made["spec"], json!({"size": 1}));
    let event = watch.next().await.unwrap().unwrap();
    let gantry_client::WatchEvent::Added(seen) = event else { panic!("{event:?}") };
    assert_eq!(seen.to_value().unwrap(), made);
    let patch = json!({"spec": {"size": 2}});
    let patched = api.patch("a", "", PatchType::Merge, &patch, &Default::default()).await.unwrap();
    assert_eq!(patched.to_value().unwrap()["spec"]["size"], 2);
    let wrong = json!({"spec": {"size": "large"}});
    let refused = api.patch("a", "", PatchType::Merge, &wrong, &Default::default()).await.unwrap_err();
    assert!(refused.to_string().contains("spec.size in body must be of type integer"), "{refused}");
    assert_eq!(api.get("a").await.unwrap().meta().labels["x"], "y");
    api.delete("a", &DeleteOptions::default()).await.unwrap();
    assert_eq!(count(&api).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_go_with_their_namespace() {
    let cluster = Cluster::start().await;
    let kind = widgets(&cluster).await;
    let namespaces = cluster.admin.api::<Namespace>("");
    let shop: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    namespaces.create(&shop).await.unwrap();
    let (inside, outside) = (cluster.admin.dynamic(kind, "shop"), cluster.admin.dynamic(kind, "default"));
    create(&inside, "shop", "a", json!({})).await;
    create(&outside, "default", "a", json!({})).await;
    cluster.manager("m", &["--leader-elect=false"]);
    namespaces.delete("shop", &DeleteOptions::default()).await.unwrap();
    eventually("the namespace is gone", async || namespaces.get_opt("shop").await.unwrap().is_none()).await;
    assert_eq!((count(&inside).await, count(&outside).await), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_own_and_are_owned() {
    let cluster = Cluster::start().await;
    let api = cluster.admin.dynamic(widgets(&cluster).await, "default");
    let maps = cluster.admin.api::<ConfigMap>("default");
    let map = |name: &str, owners: Value| -> ConfigMap {
        let metadata = json!({"name": name, "namespace": "default", "ownerReferences": owners});
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    };
    let reference = |version: &str, kind: &str, name: &str, uid: &Value| json!([{"apiVersion": version, "kind": kind, "name": name, "uid": uid}]);
    let root = maps.create(&map("root", json!([]))).await.unwrap();
    let uid = json!(root.metadata.unwrap().uid);
    let owned =
        create(&api, "default", "a", json!({"ownerReferences": reference("v1", "ConfigMap", "root", &uid)}))
            .await;
    let owners = reference("example.com/v1", "Widget", "a", &owned["metadata"]["uid"]);
    maps.create(&map("leaf", owners)).await.unwrap();
    let gone = reference("example.com/v1", "Widget", "never", &json!("00000000-0000-0000-0000-000000000000"));
    maps.create(&map("stray", gone)).await.unwrap();
    cluster.manager("m", &["--leader-elect=false"]);
    eventually("what nobody owns is gone", async || maps.get_opt("stray").await.unwrap().is_none()).await;
    assert!(maps.get_opt("leaf").await.unwrap().is_some());
    maps.delete("root", &DeleteOptions::default()).await.unwrap();
    eventually("all that it owned is gone", async || {
        count(&api).await == 0 && maps.get_opt("leaf").await.unwrap().is_none()
    })
    .await;
}
