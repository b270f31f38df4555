//! What machines need that join: `cluster-info`, signed with tokens that end.

use gantry_api::core::v1::{ConfigMap, Secret};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use crate::rig::{Cluster, eventually};

fn token(id: &str, expiration: &str) -> Secret {
    serde_json::from_value(json!({
        "metadata": {"name": format!("bootstrap-token-{id}")}, "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true",
            "expiration": expiration,
        },
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_info_is_signed_with_the_tokens_that_are_good() {
    let cluster = Cluster::start().await;
    cluster.manager("m", &["--leader-elect=false", "--controllers=bootstrapsigner,tokencleaner"]);
    let (secrets, maps) =
        (cluster.admin.api::<Secret>("kube-system"), cluster.admin.api::<ConfigMap>("kube-public"));
    let map: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "kind: Config"}
    }))
    .unwrap();
    maps.create(&map).await.unwrap();
    secrets.create(&token("aaaaaa", "")).await.unwrap();
    let soon = Timestamp::now() + 2.seconds();
    secrets.create(&token("bbbbbb", &soon.to_string())).await.unwrap();
    let signatures = async || {
        let map = maps.get("cluster-info").await.unwrap();
        map.data
            .keys()
            .filter_map(|key| key.strip_prefix("jws-kubeconfig-").map(str::to_owned))
            .collect::<Vec<_>>()
    };
    eventually("the signature", async || signatures().await.contains(&"aaaaaa".to_owned())).await;
    eventually("the token is gone", async || {
        secrets.get_opt("bootstrap-token-bbbbbb").await.unwrap().is_none()
    })
    .await;
    eventually("its signature is gone", async || signatures().await == ["aaaaaa"]).await;
}
