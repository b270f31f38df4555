//! Many writers at once.

use std::collections::BTreeSet;

use futures::future::join_all;
use gantry_api::Resource as _;
use gantry_api::core::v1::{Binding, ConfigMap, ObjectReference, Pod, Service, ServicePort, ServiceSpec};
use gantry_api::meta::v1::{CreateOptions, PatchOptions};
use gantry_apiserver::status::Reason;
use gantry_apiserver::verbs::PatchType;

use crate::server::{Server, at, meta, pod};

const WRITERS: usize = 12;

pub(crate) async fn patches_of_many_all_count(server: Server) {
    server.create(ConfigMap { metadata: meta("default", "c"), ..ConfigMap::default() }).await.unwrap();
    let target = at::<ConfigMap>("default", "c");
    let write = |writer: usize| {
        let (verbs, target) = (server.verbs.clone(), target.clone());
        async move {
            for turn in 0..5 {
                let patch = format!(r#"{{"data":{{"w{writer}-{turn}":"x"}}}}"#);
                let options = PatchOptions::default();
                verbs.patch(&target, None, PatchType::Merge, patch.into(), &options).await.unwrap();
            }
        }
    };
    join_all((0..WRITERS).map(write)).await;
    let map: ConfigMap = server.get("default", "c").await.unwrap();
    assert_eq!(map.data.len(), WRITERS * 5);
}

pub(crate) async fn updates_of_many_lose_nothing(server: Server) {
    let first = ConfigMap {
        metadata: meta("default", "c"),
        data: [("n".to_owned(), "0".to_owned())].into(),
        ..ConfigMap::default()
    };
    server.create(first).await.unwrap();
    let server = &server;
    let count = |_| async move {
        let mut done = 0;
        while done < 5 {
            let mut map: ConfigMap = server.get("default", "c").await.unwrap();
            let n: u32 = map.data["n"].parse().unwrap();
            map.data.insert("n".to_owned(), (n + 1).to_string());
            match server.update(map).await {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(error.reason(), Reason::Conflict, "{error}"),
            }
        }
    };
    join_all((0..WRITERS).map(count)).await;
    let map: ConfigMap = server.get("default", "c").await.unwrap();
    assert_eq!(map.data["n"], (WRITERS * 5).to_string());
}

pub(crate) async fn one_of_many_creates_wins(server: Server) {
    let outcomes = join_all((0..WRITERS).map(|_| server.create(pod("a")))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(error.reason(), Reason::AlreadyExists);
    }
}

pub(crate) async fn one_of_many_bindings_wins(server: Server) {
    server.create(pod("a")).await.unwrap();
    let target = at::<Pod>("default", "a");
    let bind = |writer: usize| {
        let (verbs, target) = (server.verbs.clone(), target.clone());
        async move {
            let name = format!("n{writer}");
            let binding = Binding {
                metadata: meta("default", "a"),
                target: Some(ObjectReference { name: name.clone(), ..ObjectReference::default() }),
            };
            verbs.bind(&target, binding, &CreateOptions::default()).await.map(|_| name)
        }
    };
    let outcomes = join_all((0..WRITERS).map(bind)).await;
    let winners: Vec<String> = outcomes.into_iter().filter_map(Result::ok).collect();
    let pod: Pod = server.get("default", "a").await.unwrap();
    assert_eq!(winners, [pod.spec.unwrap().node_name]);
}

pub(crate) async fn addresses_are_given_once_by_two_servers(server: Server) {
    let other = server.beside().await;
    let service = |i: usize| Service {
        metadata: meta("default", &format!("s{i}")),
        spec: Some(ServiceSpec {
            r#type: "NodePort".into(),
            ports: vec![ServicePort { port: 80, protocol: "TCP".into(), ..ServicePort::default() }],
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    let create =
        |i: usize| if i.is_multiple_of(2) { server.create(service(i)) } else { other.create(service(i)) };
    let made = join_all((0..40).map(create)).await;
    let specs: Vec<ServiceSpec> = made.into_iter().map(|one| one.unwrap().spec.unwrap()).collect();
    let addresses: BTreeSet<&str> = specs.iter().map(|spec| spec.cluster_ip.as_str()).collect();
    let ports: BTreeSet<i32> = specs.iter().map(|spec| spec.ports[0].node_port).collect();
    assert_eq!((addresses.len(), ports.len()), (40, 40));
}

pub(crate) async fn own_writes_are_read_from_another_server(server: Server) {
    let other = server.beside().await;
    for i in 0..20 {
        let name = format!("p{i}");
        server.create(pod(&name)).await.unwrap();
        let read: Pod = other.get("default", &name).await.unwrap();
        assert_eq!(read.name(), name);
        let names = other.names::<Pod>("default", Default::default()).await.unwrap();
        assert_eq!(names.len(), i + 1);
    }
}
