//! kube-rs, an independent client: everything that a controller written with it does.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use gantry_tests::{TestCluster, eventually};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, AttachParams, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, wait};
use kube::{Client, Config, ResourceExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMIT: Duration = Duration::from_secs(60);

async fn client(test: &TestCluster) -> Client {
    let kubeconfig = Kubeconfig::read_from(test.cluster().paths().kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": value}})).unwrap()
}

fn web(test: &TestCluster) -> Deployment {
    let labels = json!({"app": "kube-rs"});
    let container = json!({"name": "web", "image": test.image("web:v1")});
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [container]});
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    serde_json::from_value(json!({"metadata": {"name": "kube-rs"}, "spec": spec})).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_written_read_and_refused() {
    let test = TestCluster::start(1).await;
    let client = client(&test).await;
    let version = client.apiserver_version().await.unwrap();
    println!("kube-rs: server version {}", version.git_version);
    assert_eq!(version.major, "1");

    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let created = maps.create(&PostParams::default(), &config_map("one", "a")).await.unwrap();
    assert!(created.uid().is_some() && created.resource_version().is_some());
    let exists = maps.create(&PostParams::default(), &config_map("one", "a")).await.unwrap_err();
    assert!(matches!(&exists, kube::Error::Api(status) if status.code == 409), "{exists}");

    let mut changed = created.clone();
    changed.data.get_or_insert_default().insert("key".into(), "b".into());
    maps.replace("one", &PostParams::default(), &changed).await.unwrap();
    let stale = maps.replace("one", &PostParams::default(), &changed).await.unwrap_err();
    assert!(matches!(&stale, kube::Error::Api(status) if status.reason == "Conflict"), "{stale}");

    let merge = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}, "data": {"other": "c"}}));
    let patched = maps.patch("one", &PatchParams::default(), &merge).await.unwrap();
    let data = patched.data.unwrap();
    assert_eq!((data["key"].as_str(), data["other"].as_str()), ("b", "c"));
    let list = maps.list(&ListParams::default().labels("x=y").limit(1)).await.unwrap();
    assert_eq!(list.items.len(), 1);

    maps.delete("one", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("one").await.unwrap().is_none());
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_apply_their_fields() {
    let test = TestCluster::start(1).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&test).await);
    let config = |value: &str| {
        let mut map = config_map("applied", value);
        map.metadata.managed_fields = None;
        Patch::Apply(map)
    };
    let one = PatchParams::apply("one");
    let made = maps.patch("applied", &one, &config("a")).await.unwrap();
    let again = maps.patch("applied", &one, &config("a")).await.unwrap();
    assert_eq!(made.metadata.resource_version, again.metadata.resource_version);
    let owners = made.managed_fields();
    assert_eq!(owners.len(), 1);
    assert_eq!((owners[0].manager.as_deref(), owners[0].operation.as_deref()), (Some("one"), Some("Apply")));

    let refused = maps.patch("applied", &PatchParams::apply("two"), &config("b")).await.unwrap_err();
    let kube::Error::Api(status) = &refused else { panic!("{refused}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert!(status.message.contains("conflict with \"one\": .data.key"), "{}", status.message);
    let forced = maps.patch("applied", &PatchParams::apply("two").force(), &config("b")).await.unwrap();
    assert_eq!(forced.data.as_ref().unwrap()["key"], "b");
    assert_eq!(forced.managed_fields()[0].manager.as_deref(), Some("two"));
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_every_object_also_across_a_restart_of_the_server() {
    let test = TestCluster::start(1).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&test).await);
    maps.create(&PostParams::default(), &config_map("before", "a")).await.unwrap();
    let config = watcher::Config::default().labels("!none");
    let mut events = Box::pin(watcher::watcher(maps.clone(), config).default_backoff());
    let mut seen = BTreeSet::new();
    let writer = async {
        maps.create(&PostParams::default(), &config_map("live", "a")).await.unwrap();
        test.kill_9("apiserver");
        eventually(LIMIT, "a create after the restart", || async {
            let created = maps.create(&PostParams::default(), &config_map("after", "a")).await;
            match created {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        maps.delete("live", &DeleteParams::default()).await.unwrap();
    };
    let reader = async {
        loop {
            // Errors are the watcher's to mend: it goes on by itself.
            match events.next().await.expect("a watcher does not end") {
                Ok(Event::InitApply(map) | Event::Apply(map)) => {
                    seen.insert(map.name_any());
                }
                Ok(Event::Delete(map)) => {
                    seen.remove(&map.name_any());
                }
                Ok(Event::Init) => seen.clear(),
                Ok(Event::InitDone) | Err(_) => {}
            }
            let wanted = ["before", "after"].iter().all(|name| seen.contains(*name));
            if wanted && !seen.contains("live") {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, futures::future::join(writer, reader)).await.expect("all events");
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_runs_scales_and_says_what_it_says() {
    let test = TestCluster::start(1).await;
    let client = client(&test).await;
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client);
    deployments.create(&PostParams::default(), &web(&test)).await.unwrap();

    let scale = deployments.get_scale("kube-rs").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(1));
    let two = Patch::Merge(json!({"spec": {"replicas": 2}}));
    deployments.patch_scale("kube-rs", &PatchParams::default(), &two).await.unwrap();
    eventually(LIMIT, "two pods to be ready", || async {
        let deployment = deployments.get("kube-rs").await.map_err(|error| error.to_string())?;
        let ready = deployment.status.and_then(|status| status.ready_replicas);
        if ready == Some(2) { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;

    let running = pods.list(&ListParams::default().labels("app=kube-rs")).await.unwrap();
    let pod = running.items[0].name_any();
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(&pod, &follow).await.unwrap().lines();
    let line = tokio::time::timeout(LIMIT, lines.try_next()).await.unwrap().unwrap();
    assert!(line.unwrap().starts_with("listening on port"));

    let uid = running.items[0].uid().unwrap();
    pods.delete(&pod, &DeleteParams::default()).await.unwrap();
    let gone = wait::await_condition(pods, &pod, wait::conditions::is_deleted(&uid));
    tokio::time::timeout(LIMIT, gone).await.expect("the pod to go").unwrap();
    deployments.delete("kube-rs", &DeleteParams::default()).await.unwrap();
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_a_container_reads_writes_and_ends() {
    let test = TestCluster::start(1).await;
    let pods: Api<Pod> = Api::default_namespaced(client(&test).await);
    let container = json!({"name": "c", "image": test.image("busybox:1"), "command": ["sleep", "1000000"]});
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [container]});
    let pod = serde_json::from_value(json!({"metadata": {"name": "shell"}, "spec": spec})).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let running = wait::await_condition(pods.clone(), "shell", wait::conditions::is_pod_running());
    tokio::time::timeout(LIMIT, running).await.expect("the pod runs").unwrap();

    let script = "read line; echo got $line; echo broken >&2; exit 3";
    let parameters = AttachParams::default().stdin(true);
    let mut command = pods.exec("shell", ["sh", "-c", script], &parameters).await.unwrap();
    let (mut stdin, status) = (command.stdin().unwrap(), command.take_status().unwrap());
    let (mut stdout, mut stderr) = (command.stdout().unwrap(), command.stderr().unwrap());
    stdin.write_all(b"hello\n").await.unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let reading = async {
        stdout.read_to_string(&mut out).await.unwrap();
        stderr.read_to_string(&mut err).await.unwrap();
        status.await.unwrap()
    };
    let status = tokio::time::timeout(LIMIT, reading).await.expect("the command ends");
    assert_eq!((out.as_str(), err.as_str()), ("got hello\n", "broken\n"));
    assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"), "{status:?}");
    let causes = status.details.unwrap().causes.unwrap();
    assert_eq!(causes[0].message.as_deref(), Some("3"), "{causes:?}");
    test.down_purged().await;
}
