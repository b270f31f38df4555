//! A server's inside without its protocols: verbs over a store.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use gantry_api::Resource;
use gantry_api::core::v1::{Container, Pod, PodSpec};
use gantry_api::meta::v1::{CreateOptions, DeleteOptions, GetOptions, ListOptions, ObjectMeta};
use gantry_api::strategy::Strategy;
use gantry_apiserver::admission::Plugins;
use gantry_apiserver::bootstrap;
use gantry_apiserver::cache::Entry;
use gantry_apiserver::status::ApiError;
use gantry_apiserver::verbs::{Settings, Target, Verbs, WatchItem, WatchStream};
use gantry_store::{EtcdConfig, EtcdStore, MemoryStore, Store};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::etcd::Etcd;

/// Long enough for a busy machine; nothing waits that long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) verbs: Arc<Verbs>,
    pub(crate) store: Arc<dyn Store>,
    _stop: DropGuard,
    _etcd: Option<Etcd>,
}

impl Server {
    pub(crate) async fn over(store: Arc<dyn Store>) -> Self {
        let settings = Settings {
            service_cidr: "10.96.0.0/12".parse().unwrap(),
            node_ports: 30000..=32767,
            advertise: ("192.0.2.1".parse().unwrap(), 6443),
            etcd_prefix: "/registry".into(),
            event_ttl: Duration::from_secs(3600),
            tolerations: Default::default(),
            // Nobody makes accounts here.
            plugins: Plugins::new(&[], &["ServiceAccount".to_owned()]).unwrap(),
        };
        let verbs = Verbs::new(store.clone(), settings);
        let stop = CancellationToken::new();
        tokio::spawn(verbs.clone().run(stop.clone()));
        let ready = async {
            while !verbs.not_ready().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the caches are filled");
        bootstrap::ensure(&verbs).await.unwrap();
        Self { verbs, store, _stop: stop.drop_guard(), _etcd: None }
    }

    pub(crate) async fn in_memory() -> Self {
        Self::over(Arc::new(MemoryStore::new())).await
    }

    pub(crate) async fn on_etcd() -> Self {
        let etcd = Etcd::start().await;
        let store = EtcdStore::connect(EtcdConfig::new([etcd.url()])).await.unwrap();
        Self { _etcd: Some(etcd), ..Self::over(Arc::new(store)).await }
    }

    /// Another server over the same store.
    pub(crate) async fn beside(&self) -> Self {
        Self::over(self.store.clone()).await
    }

    pub(crate) async fn create<T: Strategy>(&self, object: T) -> Result<T, ApiError> {
        let target = Target {
            kind: <T as Resource>::kind(),
            namespace: object.namespace().to_owned(),
            name: String::new(),
        };
        self.verbs
            .create(&target, Box::new(object), &CreateOptions::default())
            .await
            .map(|entry| decode(&entry))
    }

    pub(crate) async fn update<T: Strategy>(&self, object: T) -> Result<T, ApiError> {
        let target = at::<T>(object.namespace(), object.name());
        let entry = self.verbs.update(&target, None, Box::new(object), &Default::default()).await?;
        Ok(decode(&entry))
    }

    pub(crate) async fn get<T: Strategy>(&self, namespace: &str, name: &str) -> Result<T, ApiError> {
        let entry = self.verbs.get(&at::<T>(namespace, name), &GetOptions::default()).await?;
        Ok(decode(&entry))
    }

    /// Deletes, and says whether the object is gone.
    pub(crate) async fn delete<T: Strategy>(&self, namespace: &str, name: &str) -> Result<bool, ApiError> {
        let deleted = self.verbs.delete(&at::<T>(namespace, name), &DeleteOptions::default()).await?;
        Ok(deleted.finished)
    }

    pub(crate) async fn names<T: Strategy>(
        &self,
        namespace: &str,
        options: ListOptions,
    ) -> Result<Vec<String>, ApiError> {
        let list = self.verbs.list(&at::<T>(namespace, ""), &options).await?;
        Ok(list.items.iter().map(|entry| entry.name().to_owned()).collect())
    }

    pub(crate) async fn watch<T: Strategy>(&self, namespace: &str, options: ListOptions) -> Watcher {
        let stream = self.verbs.watch(&at::<T>(namespace, ""), &options).await.unwrap();
        Watcher { stream, ready: Vec::new() }
    }
}

pub(crate) struct Watcher {
    stream: WatchStream,
    ready: Vec<WatchItem>,
}

impl Watcher {
    /// The next item.
    pub(crate) async fn item(&mut self) -> Option<WatchItem> {
        while self.ready.is_empty() {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("something happens");
            self.ready = next?;
            self.ready.reverse();
        }
        self.ready.pop()
    }

    /// The next item as `+name`, `~name`, `-name`, `*` or `!reason`.
    pub(crate) async fn text(&mut self) -> String {
        match self.item().await {
            None => "end".to_owned(),
            Some(WatchItem::Added(entry)) => format!("+{}", entry.name()),
            Some(WatchItem::Modified(entry)) => format!("~{}", entry.name()),
            Some(WatchItem::Deleted(entry)) => format!("-{}", entry.name()),
            Some(WatchItem::Bookmark { initial_events_end, .. }) => {
                if initial_events_end { "*end" } else { "*" }.to_owned()
            }
            Some(WatchItem::Error(error)) => format!("!{}", error.reason().name()),
        }
    }
}

pub(crate) fn at<T: Resource>(namespace: &str, name: &str) -> Target {
    Target { kind: T::kind(), namespace: namespace.to_owned(), name: name.to_owned() }
}

pub(crate) fn decode<T: Resource>(entry: &Entry) -> T {
    T::decode(entry.bytes()).unwrap()
}

pub(crate) fn meta(namespace: &str, name: &str) -> Option<ObjectMeta> {
    Some(ObjectMeta { namespace: namespace.into(), name: name.into(), ..ObjectMeta::default() })
}

pub(crate) fn pod(name: &str) -> Pod {
    Pod {
        metadata: meta("default", name),
        spec: Some(PodSpec {
            containers: vec![Container { name: "c".into(), image: "i".into(), ..Container::default() }],
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

pub(crate) fn labelled<T: Resource>(mut object: T, labels: &[(&str, &str)]) -> T {
    object
        .meta_mut()
        .labels
        .extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    object
}
