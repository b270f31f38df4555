//! Following one object by name.

use gantry_api::Resource;
use gantry_client::{Client, Informer};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Followed, Subscription};

/// Follows an object until the subscription is dropped, or until `stop`.
pub(super) fn follow<T: Resource>(
    client: &Client,
    namespace: &str,
    name: &str,
    stop: &CancellationToken,
) -> Subscription<T> {
    let (state, receiver) = watch::channel(Followed::Unknown);
    let stop = stop.child_token();
    let informer = Informer::<T>::builder(client)
        .namespace(namespace)
        .field_selector(&format!("metadata.name={name}"))
        .spawn(stop.clone());
    tokio::spawn(feed(informer, namespace.to_owned(), name.to_owned(), state));
    Subscription::new(receiver, stop.drop_guard())
}

async fn feed<T: Resource>(
    informer: Informer<T>,
    namespace: String,
    name: String,
    state: watch::Sender<Followed<T>>,
) {
    let mut events = informer.subscribe();
    if !informer.synced().await {
        return;
    }
    let store = informer.store();
    loop {
        let current = store.get(&namespace, &name).map_or(Followed::Absent, Followed::Present);
        let same = match (&current, &*state.borrow()) {
            (Followed::Present(new), Followed::Present(old)) => std::sync::Arc::ptr_eq(new, old),
            (Followed::Absent, Followed::Absent) => true,
            _ => false,
        };
        if !same {
            state.send_replace(current);
        }
        if events.next().await.is_none() {
            return;
        }
    }
}
