//! An operator written with kube-rs: a derived custom resource, and a controller that makes objects for each.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use gantry_tests::{TestCluster, eventually};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{self, finalizer};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{WatchStreamExt, wait, watcher};
use kube::{Client, Config, CustomResource, CustomResourceExt, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);
const FINALIZER: &str = "greetings.example.com/map";
const MANAGER: &str = "greeter";

/// Whom to greet, and how.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "example.com",
    version = "v1",
    kind = "Greeting",
    namespaced,
    shortname = "gr",
    status = "GreetingStatus",
    scale(spec_replicas_path = ".spec.times", status_replicas_path = ".status.written"),
    printcolumn(name = "Whom", type_ = "string", json_path = ".spec.whom"),
    selectable = ".spec.whom"
)]
struct GreetingSpec {
    whom: String,
    #[schemars(range(min = 1, max = 5))]
    #[serde(default = "once")]
    times: i32,
}

fn once() -> i32 {
    1
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct GreetingStatus {
    written: i32,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("a request failed")]
    Request(#[from] kube::Error),
    #[error("the finalizer failed: {0}")]
    Finalizer(String),
}

async fn client(test: &TestCluster) -> Client {
    let kubeconfig = Kubeconfig::read_from(test.cluster().paths().kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Makes a greeting's map as the greeting says, and says so in its status.
async fn reconcile(greeting: Arc<Greeting>, client: Arc<Client>) -> Result<Action, Failure> {
    let namespace = greeting.namespace().unwrap_or_default();
    let greetings: Api<Greeting> = Api::namespaced((*client).clone(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced((*client).clone(), &namespace);
    let done = finalizer(&greetings, FINALIZER, greeting, |event| async {
        match event {
            finalizer::Event::Apply(greeting) => apply(&greetings, &maps, &greeting).await,
            finalizer::Event::Cleanup(greeting) => cleanup(&maps, &greeting).await,
        }
    });
    done.await.map_err(|error| Failure::Finalizer(format!("{error:?}")))
}

async fn apply(
    greetings: &Api<Greeting>,
    maps: &Api<ConfigMap>,
    greeting: &Greeting,
) -> Result<Action, kube::Error> {
    let (name, spec) = (greeting.name_any(), &greeting.spec);
    let text =
        vec![format!("Hello {}", spec.whom); usize::try_from(spec.times).unwrap_or_default()].join("\n");
    let map: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": name, "ownerReferences": [greeting.controller_owner_ref(&()).unwrap()]},
        "data": {"text": text}
    }))
    .unwrap();
    let by = PatchParams::apply(MANAGER).force();
    maps.patch(&name, &by, &Patch::Apply(map)).await?;
    let status =
        json!({"apiVersion": "example.com/v1", "kind": "Greeting", "status": {"written": spec.times}});
    greetings.patch_status(&name, &by, &Patch::Apply(status)).await?;
    Ok(Action::await_change())
}

/// Leaves a word of the greeting that goes, which nothing owns.
async fn cleanup(maps: &Api<ConfigMap>, greeting: &Greeting) -> Result<Action, kube::Error> {
    let farewell = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "farewell"},
        "data": {"text": format!("Goodbye {}", greeting.spec.whom)}
    });
    maps.patch("farewell", &PatchParams::apply(MANAGER), &Patch::Apply(farewell)).await?;
    Ok(Action::await_change())
}

/// Defines the resource and waits until it is served.
async fn define(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = Greeting::crd_name();
    definitions.patch(name, &PatchParams::apply(MANAGER), &Patch::Apply(Greeting::crd())).await.unwrap();
    let established = wait::await_condition(definitions, name, wait::conditions::is_crd_established());
    tokio::time::timeout(LIMIT, established).await.expect("the definition is established").unwrap();
}

async fn text(maps: &Api<ConfigMap>, name: &str) -> Result<String, String> {
    let map = maps.get_opt(name).await.map_err(|error| error.to_string())?.ok_or("no map")?;
    map.data.and_then(|mut data| data.remove("text")).ok_or_else(|| "no text".to_owned())
}

async fn until_text(maps: &Api<ConfigMap>, name: &str, wanted: &str) {
    eventually(LIMIT, wanted, || async {
        let text = text(maps, name).await?;
        if text == wanted { Ok(()) } else { Err(text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_keeps_its_objects_as_they_should_be() {
    let test = TestCluster::start(1).await;
    let client = client(&test).await;
    define(&client).await;
    let greetings: Api<Greeting> = Api::default_namespaced(client.clone());
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());

    // The schema that was derived is kept: what it does not allow is refused, what it leaves open is filled.
    let many = Greeting::new("many", GreetingSpec { whom: "all".to_owned(), times: 6 });
    let refused = greetings.create(&PostParams::default(), &many).await.unwrap_err();
    let kube::Error::Api(status) = &refused else { panic!("{refused}") };
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert!(status.message.contains("spec.times: Invalid value"), "{}", status.message);

    let controller = Controller::new(greetings.clone(), watcher::Config::default())
        .owns(maps.clone(), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(200)), Arc::new(client.clone()))
        .for_each(|result| async move {
            // A conflict with a change of the same moment is repeated, and told.
            if let Err(error) = result {
                eprintln!("reconcile: {error}");
            }
        });
    let controller = tokio::spawn(controller);

    let world = json!({"apiVersion": "example.com/v1", "kind": "Greeting", "metadata": {"name": "world"},
        "spec": {"whom": "World"}});
    let made: Greeting =
        greetings.patch("world", &PatchParams::apply("user"), &Patch::Apply(world)).await.unwrap();
    assert_eq!(made.spec.times, once());
    until_text(&maps, "world", "Hello World").await;
    let map = maps.get("world").await.unwrap();
    let owner = &map.owner_references()[0];
    assert_eq!((owner.kind.as_str(), owner.uid.as_str()), ("Greeting", made.uid().unwrap().as_str()));

    // A change of the greeting, a change of the map by somebody else, and the map's end are all made good.
    let scale = Patch::Merge(json!({"spec": {"replicas": 2}}));
    greetings.patch_scale("world", &PatchParams::default(), &scale).await.unwrap();
    until_text(&maps, "world", "Hello World\nHello World").await;
    let other = Patch::Merge(json!({"data": {"text": "Nothing"}}));
    maps.patch("world", &PatchParams::default(), &other).await.unwrap();
    until_text(&maps, "world", "Hello World\nHello World").await;
    maps.delete("world", &DeleteParams::default()).await.unwrap();
    until_text(&maps, "world", "Hello World\nHello World").await;
    let written = wait::await_condition(greetings.clone(), "world", |greeting: Option<&Greeting>| {
        greeting.and_then(|greeting| greeting.status.as_ref()).is_some_and(|status| status.written == 2)
    });
    tokio::time::timeout(LIMIT, written).await.expect("the status").unwrap();
    assert_eq!(greetings.get_scale("world").await.unwrap().status.unwrap().replicas, 2);
    let selected = greetings.list(&ListParams::default().fields("spec.whom=World")).await.unwrap();
    assert_eq!(selected.items.len(), 1);
    assert!(greetings.list(&ListParams::default().fields("spec.whom=Moon")).await.unwrap().items.is_empty());

    // The finalizer runs before the greeting goes; what it owns goes after it.
    assert_eq!(greetings.get("world").await.unwrap().finalizers(), [FINALIZER]);
    let gone = wait::await_condition(
        greetings.clone(),
        "world",
        wait::conditions::is_deleted(made.uid().unwrap().leak()),
    );
    greetings.delete("world", &DeleteParams::default()).await.unwrap();
    tokio::time::timeout(LIMIT, gone).await.expect("the greeting goes").unwrap();
    assert_eq!(text(&maps, "farewell").await.unwrap(), "Goodbye World");
    eventually(LIMIT, "the map to go", || async { text(&maps, "world").await.map_or(Ok(()), Err) }).await;
    controller.abort();
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_follow_lists_and_streams() {
    let test = TestCluster::start(1).await;
    let client = client(&test).await;
    define(&client).await;
    let greetings: Api<Greeting> = Api::default_namespaced(client.clone());
    let names: Vec<String> = (0..30).map(|i| format!("greeting-{i}")).collect();
    for name in &names {
        let greeting = Greeting::new(name, GreetingSpec { whom: name.clone(), times: 1 });
        greetings.create(&PostParams::default(), &greeting).await.unwrap();
    }
    // By pages and a watch, from the cache, and as one stream that begins with what is there.
    let lists = [
        ("pages", watcher::Config::default().page_size(7)),
        ("any", watcher::Config::default().any_semantic()),
        ("stream", watcher::Config::default().streaming_lists()),
    ];
    for (how, config) in lists {
        let (store, writer) = reflector::store::<Greeting>();
        let stream = watcher::watcher(greetings.clone(), config).default_backoff().reflect(writer);
        let following = tokio::spawn(stream.for_each(|event| async move {
            if let Err(error) = event {
                eprintln!("{error}");
            }
        }));
        tokio::time::timeout(LIMIT, store.wait_until_ready()).await.expect("a first list").unwrap();
        assert_eq!(store.state().len(), names.len(), "{how}");
        let change = Patch::Merge(json!({"spec": {"whom": how}}));
        greetings.patch(&names[3], &PatchParams::default(), &change).await.unwrap();
        let key = ObjectRef::<Greeting>::new(&names[3]).within("default");
        eventually(LIMIT, how, || async {
            let whom = store.get(&key).map(|greeting| greeting.spec.whom.clone());
            if whom.as_deref() == Some(how) { Ok(()) } else { Err(format!("{whom:?}")) }
        })
        .await;
        following.abort();
    }
    // Metadata alone, of the same objects, by both kinds of list.
    let metadata: Api<PartialObjectMeta<Greeting>> = Api::default_namespaced(client);
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = std::pin::pin!(watcher::watcher(metadata.clone(), config).default_backoff());
        let mut seen = 0;
        while seen < names.len() {
            let event = tokio::time::timeout(LIMIT, events.next()).await.expect("an event").unwrap();
            seen += usize::from(matches!(event.unwrap(), watcher::Event::InitApply(_)));
        }
    }
    greetings.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    assert!(greetings.list(&ListParams::default()).await.unwrap().items.is_empty());
    test.down_purged().await;
}
