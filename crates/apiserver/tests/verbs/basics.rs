//! What each verb does.

use gantry_api::Resource as _;
use gantry_api::Subresource;
use gantry_api::core::v1::{
    Binding, ConfigMap, Namespace, ObjectReference, Pod, Service, ServicePort, ServiceSpec,
};
use gantry_api::meta::v1::{CreateOptions, DeleteOptions, ListOptions, PatchOptions};
use gantry_api::scalars::MicroTime;
use gantry_apiserver::status::Reason;
use gantry_apiserver::verbs::PatchType;

use crate::server::{Server, at, decode, labelled, meta, pod};

pub(crate) async fn an_object_lives_from_create_to_delete(server: Server) {
    let made = server.create(pod("a")).await.unwrap();
    let meta = made.meta();
    assert!(!meta.uid.is_empty() && meta.creation_timestamp.is_some() && !meta.resource_version.is_empty());
    assert_eq!(made.spec.as_ref().unwrap().tolerations.len(), 2);
    assert_eq!(server.create(pod("a")).await.unwrap_err().reason(), Reason::AlreadyExists);

    let read: Pod = server.get("default", "a").await.unwrap();
    assert_eq!(read, made);
    let changed = server.update(labelled(read.clone(), &[("x", "1")])).await.unwrap();
    assert_ne!(changed.meta().resource_version, read.meta().resource_version);
    let stale = server.update(labelled(read, &[("x", "2")])).await.unwrap_err();
    assert_eq!(stale.reason(), Reason::Conflict);
    assert!(stale.to_string().contains("the object has been modified"));
    // Nothing changes: nothing is written.
    let same = server.update(changed.clone()).await.unwrap();
    assert_eq!(same, changed);

    assert!(server.delete::<Pod>("default", "a").await.unwrap());
    let gone = server.get::<Pod>("default", "a").await.unwrap_err();
    assert_eq!((gone.reason(), gone.to_string().as_str()), (Reason::NotFound, "pods \"a\" not found"));
}

pub(crate) async fn a_name_is_made_where_there_is_none(server: Server) {
    let mut one = pod("");
    one.meta_mut().generate_name = "web-".into();
    let made = server.create(one).await.unwrap();
    assert!(made.name().starts_with("web-") && made.name().len() == 9, "{}", made.name());
    let error = server.create(pod("")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Invalid);
    let mut elsewhere = pod("a");
    elsewhere.meta_mut().namespace = "nowhere".into();
    assert_eq!(server.create(elsewhere).await.unwrap_err().to_string(), "namespaces \"nowhere\" not found");
}

pub(crate) async fn a_pod_is_bound_once(server: Server) {
    server.create(pod("a")).await.unwrap();
    let binding = |node: &str| Binding {
        metadata: meta("default", "a"),
        target: Some(ObjectReference {
            kind: "Node".into(),
            name: node.into(),
            ..ObjectReference::default()
        }),
    };
    let target = at::<Pod>("default", "a");
    let bound: Pod =
        decode(&server.verbs.bind(&target, binding("n1"), &CreateOptions::default()).await.unwrap());
    assert_eq!(bound.spec.unwrap().node_name, "n1");
    assert_eq!(bound.status.unwrap().conditions[0].r#type, "PodScheduled");
    let error = server.verbs.bind(&target, binding("n2"), &CreateOptions::default()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Conflict);
    // A pod on a node is left to its kubelet.
    assert!(!server.delete::<Pod>("default", "a").await.unwrap());
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    assert!(server.verbs.delete(&target, &now).await.unwrap().finished);
}

pub(crate) async fn patches_of_the_status_touch_nothing_else(server: Server) {
    server.create(pod("a")).await.unwrap();
    let patch = br#"{"spec":{"nodeName":"x"},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#;
    let target = at::<Pod>("default", "a");
    let status = Some(Subresource::Status);
    let patched = server
        .verbs
        .patch(&target, status, PatchType::StrategicMerge, patch[..].into(), &PatchOptions::default())
        .await
        .unwrap();
    let patched: Pod = decode(&patched);
    assert_eq!(patched.status.unwrap().phase, "Running");
    assert_eq!(patched.spec.unwrap().node_name, "");
}

pub(crate) async fn watchers_see_what_they_select(server: Server) {
    let web = ListOptions { label_selector: "app=web".into(), ..ListOptions::default() };
    let mut watcher = server.watch::<Pod>("default", web).await;
    let mut all = server
        .watch::<Pod>(
            "",
            ListOptions {
                send_initial_events: Some(true),
                resource_version_match: "NotOlderThan".into(),
                allow_watch_bookmarks: true,
                ..ListOptions::default()
            },
        )
        .await;
    assert_eq!(all.text().await, "*end");
    server.create(pod("a")).await.unwrap();
    let b = server.create(labelled(pod("b"), &[("app", "web")])).await.unwrap();
    assert_eq!(watcher.text().await, "+b");
    let mut out = b.clone();
    out.meta_mut().labels.clear();
    let out = server.update(out).await.unwrap();
    assert_eq!(watcher.text().await, "-b");
    server.update(labelled(out, &[("app", "web")])).await.unwrap();
    assert_eq!(watcher.text().await, "+b");
    server.delete::<Pod>("default", "b").await.unwrap();
    assert_eq!(watcher.text().await, "-b");
    for expected in ["+a", "+b", "~b", "~b", "-b"] {
        assert_eq!(all.text().await, expected);
    }
}

pub(crate) async fn pages_are_of_one_revision(server: Server) {
    for i in 0..10 {
        server.create(pod(&format!("p{i}"))).await.unwrap();
    }
    let target = at::<Pod>("default", "");
    let mut options = ListOptions { limit: 4, ..ListOptions::default() };
    let first = server.verbs.list(&target, &options).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(6));
    server.delete::<Pod>("default", "p5").await.unwrap();
    server.create(pod("p55")).await.unwrap();
    let mut names: Vec<String> = first.items.iter().map(|entry| entry.name().to_owned()).collect();
    options.r#continue = first.metadata.r#continue.clone();
    while !options.r#continue.is_empty() {
        let page = server.verbs.list(&target, &options).await.unwrap();
        assert_eq!(page.metadata.resource_version, first.metadata.resource_version);
        names.extend(page.items.iter().map(|entry| entry.name().to_owned()));
        options.r#continue = page.metadata.r#continue;
    }
    let expected: Vec<String> = (0..10).map(|i| format!("p{i}")).collect();
    assert_eq!(names, expected);
}

pub(crate) async fn services_get_addresses_of_their_own(server: Server) {
    let service = |name: &str, ip: &str, r#type: &str| Service {
        metadata: meta("default", name),
        spec: Some(ServiceSpec {
            cluster_ip: ip.into(),
            r#type: r#type.into(),
            ports: vec![ServicePort { port: 80, protocol: "TCP".into(), ..ServicePort::default() }],
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    let kubernetes: Service = server.get("default", "kubernetes").await.unwrap();
    assert_eq!(kubernetes.spec.unwrap().cluster_ip, "10.96.0.1");
    let a = server.create(service("a", "", "NodePort")).await.unwrap().spec.unwrap();
    assert!(a.cluster_ip.starts_with("10.") && (30000..=32767).contains(&a.ports[0].node_port));
    let taken = server.create(service("b", &a.cluster_ip, "ClusterIP")).await.unwrap_err();
    assert_eq!(taken.reason(), Reason::Invalid);
    let outside = server.create(service("b", "192.0.2.7", "ClusterIP")).await.unwrap_err();
    assert!(outside.to_string().contains("not in the valid range"), "{outside}");
    assert!(server.delete::<Service>("default", "a").await.unwrap());
    let b = server.create(service("b", &a.cluster_ip, "ClusterIP")).await.unwrap().spec.unwrap();
    assert_eq!(b.cluster_ip, a.cluster_ip);
}

pub(crate) async fn a_namespace_goes_once_it_is_finalized(server: Server) {
    server.create(Namespace { metadata: meta("", "x"), ..Namespace::default() }).await.unwrap();
    server.create(ConfigMap { metadata: meta("x", "c"), ..ConfigMap::default() }).await.unwrap();
    assert!(!server.delete::<Namespace>("", "x").await.unwrap());
    let mut x: Namespace = server.get("", "x").await.unwrap();
    assert_eq!(x.status.as_ref().unwrap().phase, "Terminating");
    let refused =
        server.create(ConfigMap { metadata: meta("x", "d"), ..ConfigMap::default() }).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Forbidden);
    x.spec.as_mut().unwrap().finalizers.clear();
    let target = at::<Namespace>("", "x");
    server
        .verbs
        .update(&target, Some(Subresource::Finalize), Box::new(x), &Default::default())
        .await
        .unwrap();
    assert_eq!(server.get::<Namespace>("", "x").await.unwrap_err().reason(), Reason::NotFound);
}

pub(crate) async fn a_dry_run_writes_nothing(server: Server) {
    let dry = vec!["All".to_owned()];
    let target = at::<Pod>("default", "");
    let options = CreateOptions { dry_run: dry.clone(), ..CreateOptions::default() };
    let made = server.verbs.create(&target, Box::new(pod("a")), &options).await.unwrap();
    assert_eq!(decode::<Pod>(&made).metadata.unwrap().resource_version, "");
    assert_eq!(server.get::<Pod>("default", "a").await.unwrap_err().reason(), Reason::NotFound);
    server.create(pod("a")).await.unwrap();
    let options = DeleteOptions { dry_run: dry, ..DeleteOptions::default() };
    assert!(server.verbs.delete(&at::<Pod>("default", "a"), &options).await.unwrap().finished);
    server.get::<Pod>("default", "a").await.unwrap();
}

pub(crate) async fn both_groups_serve_the_same_events(server: Server) {
    let old = gantry_api::core::v1::Event {
        metadata: meta("default", "old"),
        involved_object: Some(ObjectReference {
            kind: "Pod".into(),
            namespace: "default".into(),
            name: "p".into(),
            ..ObjectReference::default()
        }),
        message: "m".into(),
        reason: "r".into(),
        r#type: "Normal".into(),
        ..Default::default()
    };
    server.create(old).await.unwrap();
    let new: gantry_api::events::v1::Event = server.get("default", "old").await.unwrap();
    assert_eq!((new.note.as_str(), new.regarding.as_ref().unwrap().name.as_str()), ("m", "p"));
    let event = gantry_api::events::v1::Event {
        metadata: meta("default", "new"),
        event_time: Some(MicroTime::now()),
        reporting_controller: "c".into(),
        reporting_instance: "i".into(),
        action: "a".into(),
        ..new
    };
    server.create(event).await.unwrap();
    let old: gantry_api::core::v1::Event = server.get("default", "new").await.unwrap();
    assert_eq!((old.message.as_str(), old.reporting_component.as_str()), ("m", "c"));
    // Kubernetes stores them all in the old form.
    let found = server.store.get("/registry/events/default/new").await.unwrap();
    let stored = gantry_store::envelope::decode(&found.kv.unwrap().value).unwrap();
    assert_eq!(stored.api_version, "v1");
}

pub(crate) async fn a_collection_is_deleted_by_its_selector(server: Server) {
    for name in ["a", "b", "c"] {
        server.create(labelled(pod(name), &[("app", if name == "b" { "db" } else { "web" })])).await.unwrap();
    }
    let web = ListOptions { label_selector: "app=web".into(), ..ListOptions::default() };
    let target = at::<Pod>("default", "");
    let deleted = server.verbs.delete_collection(&target, &DeleteOptions::default(), &web).await.unwrap();
    assert_eq!(deleted.items.len(), 2);
    assert_eq!(server.names::<Pod>("default", ListOptions::default()).await.unwrap(), ["b"]);
}

pub(crate) async fn fields_select_and_unknown_ones_are_refused(server: Server) {
    server.create(pod("a")).await.unwrap();
    server.create(pod("b")).await.unwrap();
    let by = |text: &str| ListOptions { field_selector: text.into(), ..ListOptions::default() };
    assert_eq!(server.names::<Pod>("", by("metadata.name=b")).await.unwrap(), ["b"]);
    assert_eq!(server.names::<Pod>("", by("spec.nodeName=,metadata.name!=b")).await.unwrap(), ["a"]);
    assert_eq!(server.names::<Pod>("", by("status.phase!=Pending")).await.unwrap(), [""; 0]);
    let error = server.names::<Pod>("", by("spec.nonsense=x")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BadRequest);
    assert!(error.to_string().contains("field label not supported: spec.nonsense"), "{error}");
}
