//! Images from registries, pleasant and unpleasant ones.

use std::sync::Arc;

use gantry_container_runtime::{ContainerdOptions, Error, RegistryEndpoint, Runtime};
use gantry_image_builder::Registry;

use crate::support::{Node, busybox, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_of_the_same_image_share_their_work() {
    let node = Node::start().await;
    let runtime = node.runtime();
    until("containerd answers", || async { runtime.version().await.is_ok() }).await;
    let pulls: Vec<_> = (0..8)
        .map(|_| {
            let (runtime, image) = (Arc::clone(&runtime), node.image.clone());
            tokio::spawn(async move { runtime.pull_image(&image, None, None).await })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for pull in pulls {
        ids.insert(pull.await.unwrap().unwrap().id);
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_share_layers_and_names_that_move() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    let registry = Registry::new(node.registry);
    let mut other = busybox();
    other.env = vec!["VERSION=2".into()];
    registry.push("test/busybox:2", &other.build().unwrap()).await.unwrap();
    let first = runtime.image_status(&node.image).await.unwrap().unwrap();
    let second = runtime.pull_image(&node.image.replace(":1", ":2"), None, None).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(second.config.env, ["VERSION=2"]);
    // The name now stands for another image.
    registry.push("test/busybox:1", &other.build().unwrap()).await.unwrap();
    let moved = runtime.pull_image(&node.image, None, None).await.unwrap();
    assert_eq!(moved.id, second.id);
    assert_eq!(moved.repo_tags.len(), 2);
    // By digest it is the same image too.
    let by_digest = runtime.image_status(&moved.repo_digests[0]).await.unwrap().unwrap();
    assert_eq!(by_digest.id, moved.id);
    runtime.remove_image(&moved.id).await.unwrap();
    assert!(runtime.list_images().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mirrors_are_asked_first_and_failures_say_who_and_why() {
    let node = Node::start().await;
    let mirror = |host: &str, endpoint: &str| RegistryEndpoint {
        host: host.into(),
        endpoint: Some(endpoint.into()),
        ..RegistryEndpoint::default()
    };
    let mut options: ContainerdOptions = node.options.clone();
    options.registries.registries = vec![
        mirror("example.invalid", &format!("http://{}", node.registry)),
        mirror("down.invalid", "http://127.0.0.1:9"),
    ];
    let runtime = gantry_container_runtime::Containerd::new(options).unwrap();
    until("containerd answers", || async { runtime.version().await.is_ok() }).await;
    let pulled = runtime.pull_image("example.invalid/test/busybox:1", None, None).await.unwrap();
    assert_eq!(pulled.repo_tags, ["example.invalid/test/busybox:1"]);

    let error = runtime.pull_image("down.invalid/test/busybox:1", None, None).await.unwrap_err();
    assert!(matches!(error, Error::RegistryUnavailable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:9: ") && error.to_string().contains("refused"), "{error}");
    let error = runtime.pull_image("Not/Valid", None, None).await.unwrap_err();
    assert!(matches!(error, Error::InvalidReference { .. }), "{error}");
    let missing = format!("{}/test/none:1", node.registry);
    let error = runtime.pull_image(&missing, None, None).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("pull {missing:?}: {} answered 404: MANIFEST_UNKNOWN: manifest unknown", node.registry)
    );
}
