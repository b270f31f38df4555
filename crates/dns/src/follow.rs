//! Keeps the index up to date with Services and EndpointSlices.

use std::collections::BTreeSet;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::EndpointSlice;
use gantry_client::{Client, Event, Informer};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::index::{ServiceKey, records, service_of};
use crate::server::SharedIndex;

/// The index of slices by their service, as `namespace/name`.
const BY_SERVICE: &str = "service";

/// Follows the API until `stop`; `ready` turns true with the first complete index.
pub async fn run(client: Client, index: SharedIndex, ready: watch::Sender<bool>, stop: CancellationToken) {
    let services = Informer::<Service>::builder(&client).spawn(stop.clone());
    let slices = Informer::<EndpointSlice>::builder(&client)
        .index(BY_SERVICE, |slice| service_of(slice).iter().map(joined).collect())
        .spawn(stop.clone());
    let (mut service_events, mut slice_events) = (services.subscribe(), slices.subscribe());
    if !(services.synced().await && slices.synced().await) {
        return;
    }
    let follower = Follower { services, slices, index };
    follower.rebuild_all();
    ready.send_replace(true);
    loop {
        let changed: BTreeSet<ServiceKey> = tokio::select! {
            () = stop.cancelled() => return,
            event = service_events.next() => match event {
                None => return,
                Some(Event::Resync) => {
                    follower.rebuild_all();
                    continue;
                }
                Some(event) => event.object().map(|service| key(service.as_ref())).into_iter().collect(),
            },
            event = slice_events.next() => match event {
                None => return,
                Some(Event::Resync) => {
                    follower.rebuild_all();
                    continue;
                }
                // A slice may move to another service.
                Some(Event::Modified { old, new }) => service_of(&old).into_iter().chain(service_of(&new)).collect(),
                Some(event) => event.object().and_then(|slice| service_of(slice)).into_iter().collect(),
            },
        };
        for key in &changed {
            follower.rebuild(key);
        }
    }
}

struct Follower {
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
    index: SharedIndex,
}

impl Follower {
    fn rebuild(&self, key: &ServiceKey) {
        let slices: Vec<Arc<EndpointSlice>> = self.slices.store().by_index(BY_SERVICE, &joined(key));
        let service = self.services.store().get(&key.0, &key.1);
        let records = service.and_then(|service| records(&service, slices.iter().map(Arc::as_ref)));
        self.index.write().set(key, records);
    }

    fn rebuild_all(&self) {
        let present: BTreeSet<ServiceKey> =
            self.services.store().list().iter().map(|service| key(service.as_ref())).collect();
        let gone: Vec<ServiceKey> = self.index.read().keys().filter(|key| !present.contains(key)).collect();
        for key in present.iter().chain(&gone) {
            self.rebuild(key);
        }
    }
}

fn key(service: &Service) -> ServiceKey {
    (service.namespace().to_owned(), service.name().to_owned())
}

fn joined(key: &ServiceKey) -> String {
    format!("{}/{}", key.0, key.1)
}
