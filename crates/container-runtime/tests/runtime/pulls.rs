//! Images from registries, pleasant and unpleasant ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use containerd_client::services::v1::snapshots::ListSnapshotsRequest;
use containerd_client::tonic::Request;
use gantry_container_runtime::{
    Containerd, ContainerdOptions, Error, PullProgress, RegistryAuth, RegistryEndpoint, RegistryOptions,
    Runtime,
};
use gantry_image_builder::Registry;
use tokio_rustls::TlsAcceptor;

use crate::support::{Node, busybox, until};
use crate::unruly::{Config, Door, Unruly, proxy};

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
    let runtime = Containerd::new(options).unwrap();
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

async fn runtime_with(node: &Node, registries: RegistryOptions) -> Containerd {
    let runtime = Containerd::new(ContainerdOptions { registries, ..node.options.clone() }).unwrap();
    until("containerd answers", || async { runtime.version().await.is_ok() }).await;
    runtime
}

fn password() -> Option<RegistryAuth> {
    Some(RegistryAuth::Basic { username: "u".into(), password: "p".into() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registries_that_want_to_know_who_asks() {
    let node = Node::start().await;
    let runtime = runtime_with(&node, RegistryOptions::default()).await;
    let image = busybox().build().unwrap();
    for door in [Door::Basic, Door::Token] {
        let registry = Unruly::start(&image, Config { door, ..Config::default() }).await;
        let name = format!("{}/app:1", registry.address);
        let error = runtime.pull_image(&name, None, None).await.unwrap_err();
        assert!(matches!(error, Error::Registry { status: 401, .. }), "{error}");
        let said =
            if door == Door::Basic { "DENIED: not without a password" } else { "UNAUTHORIZED: who are you" };
        assert!(error.to_string().ends_with(said), "{error}");
        let pulled = runtime.pull_image(&name, password(), None).await.unwrap();
        assert_eq!(pulled.repo_tags.last(), Some(&name));
        runtime.remove_image(&name).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_breaks_off_is_taken_up_where_it_was() {
    let node = Node::start().await;
    let runtime = runtime_with(&node, RegistryOptions::default()).await;
    let image = busybox().build().unwrap();
    let registry = Unruly::start(&image, Config { breaks: 2, index: true, ..Config::default() }).await;
    let name = format!("{}/app:1", registry.address);
    let (progress, seen) = tokio::sync::watch::channel(PullProgress::default());
    let pulled = runtime.pull_image(&name, None, Some(progress)).await.unwrap();
    assert_eq!(registry.blobs.load(Ordering::SeqCst), 3);
    // Nothing was fetched twice.
    let seen = *seen.borrow();
    assert_eq!((seen.done_bytes, seen.unpacked_layers), (seen.total_bytes, 1));
    assert_ne!(pulled.digest, image.manifest.descriptor.digest, "the name stands for the whole list");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_what_was_asked_for_are_refused() {
    let node = Node::start().await;
    let runtime = runtime_with(&node, RegistryOptions::default()).await;
    let image = busybox().build().unwrap();
    let registry = Unruly::start(&image, Config { lie: true, ..Config::default() }).await;
    let name = format!("{}/app:1", registry.address);
    let error = runtime.pull_image(&name, None, None).await.unwrap_err();
    assert!(error.to_string().contains("unexpected commit digest"), "{error}");
    assert_eq!(runtime.image_status(&name).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_behind_a_proxy_with_a_certificate_of_its_own() {
    let node = Node::start().await;
    let key = rcgen::generate_simple_self_signed(["registry.test".to_owned()]).unwrap();
    let ca = node.directory.path().join("ca.pem");
    std::fs::write(&ca, key.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    let tls = Some(TlsAcceptor::from(Arc::new(server)));
    let registry = Unruly::start(&busybox().build().unwrap(), Config { tls, ..Config::default() }).await;
    let (proxy, connections) = proxy("registry.test:443", registry.address).await;
    let endpoint = |insecure: bool, ca| RegistryEndpoint {
        host: "registry.test".into(),
        endpoint: insecure.then(|| "https://registry.test".into()),
        insecure,
        ca,
    };
    for (registries, works) in
        [(vec![], false), (vec![endpoint(false, Some(ca.clone()))], true), (vec![endpoint(true, None)], true)]
    {
        let https_proxy = Some(format!("http://{proxy}"));
        let runtime =
            runtime_with(&node, RegistryOptions { registries, https_proxy, no_proxy: vec![] }).await;
        let before = connections.load(Ordering::SeqCst);
        let pulled = runtime.pull_image("registry.test/app:1", None, None).await;
        assert!(connections.load(Ordering::SeqCst) > before);
        match pulled {
            Ok(_) => assert!(works),
            Err(error) => assert!(!works && error.to_string().contains("certificate"), "{error}"),
        }
        runtime.remove_image("registry.test/app:1").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_what_was_removed() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    let config = gantry_container_runtime::ContainerConfig {
        id: "short".into(),
        image: node.image.clone(),
        cgroup_parent: node.cgroup.clone(),
        ..Default::default()
    };
    runtime.create_container(config).await.unwrap();
    runtime.start_container("short").await.unwrap();
    assert!(!snapshots(&node).await.is_empty() && !blobs(&node).is_empty());
    runtime.remove_container("short").await.unwrap();
    runtime.remove_image(&node.image).await.unwrap();
    // containerd collects what nothing refers to any more, leases included.
    until("nothing is left", || async { snapshots(&node).await.is_empty() && blobs(&node).is_empty() }).await;
}

/// Names of the snapshots that containerd holds.
async fn snapshots(node: &Node) -> Vec<String> {
    let client = containerd_client::Client::from_path(&node.options.socket).await.unwrap();
    let message = ListSnapshotsRequest { snapshotter: "overlayfs".into(), filters: vec![] };
    let request = containerd_client::with_namespace!(message, node.options.namespace);
    let mut answers = client.snapshots().list(request).await.unwrap().into_inner();
    let mut names = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        names.extend(answer.info.into_iter().map(|info| info.name));
    }
    names
}

fn blobs(node: &Node) -> Vec<std::path::PathBuf> {
    let directory = node.directory.path().join("data/io.containerd.content.v1.content/blobs/sha256");
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}
