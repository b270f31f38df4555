//! Watches.

use gantry_api::Resource as _;
use gantry_api::core::v1::{Binding, ObjectReference, Pod};
use gantry_api::meta::v1::{CreateOptions, ListOptions};

use crate::server::{Server, at, labelled, meta, pod};

fn after(revision: &str) -> ListOptions {
    ListOptions { resource_version: revision.into(), ..ListOptions::default() }
}

pub(crate) async fn a_watch_goes_on_where_it_ended(server: Server) {
    let made = server.create(pod("a")).await.unwrap();
    let revision = made.meta().resource_version.clone();
    let b = server.create(pod("b")).await.unwrap();
    server.update(labelled(made, &[("x", "1")])).await.unwrap();
    server.delete::<Pod>("default", "b").await.unwrap();
    let mut all = server.watch::<Pod>("", after(&revision)).await;
    for expected in ["+b", "~a", "-b"] {
        assert_eq!(all.text().await, expected);
    }
    let mut rest = server.watch::<Pod>("default", after(&b.meta().resource_version)).await;
    for expected in ["~a", "-b"] {
        assert_eq!(rest.text().await, expected);
    }
    let mut one = server
        .watch::<Pod>("default", ListOptions { field_selector: "metadata.name=b".into(), ..after(&revision) })
        .await;
    for expected in ["+b", "-b"] {
        assert_eq!(one.text().await, expected);
    }
}

pub(crate) async fn watchers_of_one_node_see_only_its_pods(server: Server) {
    const NODES: usize = 10;
    let mut watchers = Vec::new();
    for node in 0..NODES {
        let field_selector = format!("spec.nodeName=n{node}");
        watchers
            .push(server.watch::<Pod>("", ListOptions { field_selector, ..ListOptions::default() }).await);
    }
    for i in 0..NODES * 2 {
        let name = format!("p{i}");
        server.create(pod(&name)).await.unwrap();
        let binding = Binding {
            metadata: meta("default", &name),
            target: Some(ObjectReference { name: format!("n{}", i % NODES), ..ObjectReference::default() }),
        };
        let target = at::<Pod>("default", &name);
        server.verbs.bind(&target, binding, &CreateOptions::default()).await.unwrap();
    }
    for (node, watcher) in watchers.iter_mut().enumerate() {
        assert_eq!(watcher.text().await, format!("+p{node}"));
        assert_eq!(watcher.text().await, format!("+p{}", node + NODES));
    }
}

pub(crate) async fn all_watchers_see_the_same_order(server: Server) {
    let mut watchers = Vec::new();
    for i in 0..20 {
        let namespace = if i % 2 == 0 { "" } else { "default" };
        watchers.push(server.watch::<Pod>(namespace, ListOptions::default()).await);
    }
    let names: Vec<String> = (0..50).map(|i| format!("p{i}")).collect();
    futures::future::join_all(names.iter().map(|name| server.create(pod(name)))).await;
    let mut first = Vec::new();
    for (i, watcher) in watchers.iter_mut().enumerate() {
        let mut seen = Vec::new();
        for _ in 0..names.len() {
            seen.push(watcher.text().await);
        }
        if i == 0 {
            first = seen;
        } else {
            assert_eq!(seen, first);
        }
    }
}

pub(crate) async fn what_is_forgotten_is_gone(server: Server) {
    server.create(pod("a")).await.unwrap();
    server.create(pod("b")).await.unwrap();
    // A server that begins now knows nothing of before.
    let late = server.beside().await;
    let mut watcher = late.watch::<Pod>("", after("2")).await;
    assert_eq!(watcher.text().await, "!Expired");
    assert_eq!(watcher.text().await, "end");
}
