//! The objects that a pod refers to, followed for as long as the pod is looked after.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::core::v1::{ConfigMap, PodSpec, Secret};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::message::Message;
use crate::cluster::{Cluster, Subscription};
use crate::container::env::Objects;
use crate::volumes::references::references;

/// Subscriptions to everything that a pod refers to.
#[derive(Debug)]
pub(super) struct Followed {
    config_maps: BTreeMap<String, Subscription<ConfigMap>>,
    secrets: BTreeMap<String, Subscription<Secret>>,
}

impl Followed {
    pub(super) fn start(cluster: &dyn Cluster, namespace: &str, spec: &PodSpec) -> Self {
        let names = references(spec);
        let maps = names.config_maps.into_iter();
        let secrets = names.secrets.into_iter();
        Self {
            config_maps: maps.map(|name| (name.clone(), cluster.config_map(namespace, &name))).collect(),
            secrets: secrets.map(|name| (name.clone(), cluster.secret(namespace, &name))).collect(),
        }
    }

    /// All of them that exist, as soon as that is known.
    pub(super) async fn objects(&self) -> Objects {
        let mut objects = Objects::default();
        for (name, subscription) in &self.config_maps {
            if let Some(map) = subscription.get().await {
                objects.config_maps.insert(name.clone(), map);
            }
        }
        for (name, subscription) in &self.secrets {
            if let Some(secret) = subscription.get().await {
                objects.secrets.insert(name.clone(), secret);
            }
        }
        objects
    }

    /// Reports every change until the set is dropped.
    pub(super) fn watch(&self, reports: &mpsc::Sender<Message>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for subscription in self.config_maps.values() {
            tasks.spawn(follow(subscription.clone(), reports.clone()));
        }
        for subscription in self.secrets.values() {
            tasks.spawn(follow(subscription.clone(), reports.clone()));
        }
        tasks
    }
}

async fn follow<T: Send + Sync + 'static>(mut subscription: Subscription<T>, reports: mpsc::Sender<Message>) {
    // The first state is what everybody waits for anyway.
    let _: Option<Arc<T>> = subscription.get().await;
    subscription.mark_seen();
    while subscription.changed().await {
        if reports.send(Message::ReferencesChanged).await.is_err() {
            return;
        }
    }
}
