//! What each namespace has for its pods' identity: the account `default`, and the authority.

use gantry_api::Resource;
use gantry_api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use gantry_client::{DeleteOptions, PatchType};
use serde_json::json;

use crate::rig::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_namespace_has_an_account_and_the_authority() {
    let cluster = Cluster::start().await;
    cluster.manager("m", &["--leader-elect=false"]);
    let admin = &cluster.admin;
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    admin.api::<Namespace>("").create(&namespace).await.unwrap();
    let (maps, accounts) = (admin.api::<ConfigMap>("a"), admin.api::<ServiceAccount>("a"));
    let pem = cluster.authority_pem();
    let is_right = async || {
        let map = maps.get_opt("kube-root-ca.crt").await.unwrap();
        map.is_some_and(|map| map.data.len() == 1 && map.data.get("ca.crt") == Some(&pem))
    };
    let has_account = async || accounts.get_opt("default").await.unwrap().is_some();
    eventually("the authority", is_right).await;
    eventually("the account", has_account).await;

    let patch = json!({"data": {"ca.crt": "other", "more": "x"}});
    maps.patch("kube-root-ca.crt", PatchType::Merge, &patch).await.unwrap();
    eventually("what it was", is_right).await;
    let before = maps.get("kube-root-ca.crt").await.unwrap().meta().uid.clone();
    maps.delete("kube-root-ca.crt", &DeleteOptions::default()).await.unwrap();
    accounts.delete("default", &DeleteOptions::default()).await.unwrap();
    eventually("another", async || {
        let map = maps.get_opt("kube-root-ca.crt").await.unwrap();
        map.is_some_and(|map| map.meta().uid != before) && is_right().await
    })
    .await;
    eventually("the account again", has_account).await;
}
