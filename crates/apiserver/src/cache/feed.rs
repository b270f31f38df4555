//! Keeps a cache filled: one list, then one watch of the store.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use gantry_store::{Error, Event, KeyValue, ListOptions, envelope};
use tokio_util::sync::CancellationToken;

use super::state::Update;
use super::storage::Opened;
use super::{Cache, Entry, storage};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

impl Cache {
    /// Follows the store until the token is cancelled.
    pub(crate) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let closed = self.closed.clone();
        // Closed or not, a cache ends with the server.
        let _ = closed.run_until_cancelled(self.keep_filled(shutdown)).await;
    }

    async fn keep_filled(&self, shutdown: CancellationToken) {
        let mut delay = FIRST_RETRY;
        loop {
            let failed = shutdown.run_until_cancelled(self.follow(&mut delay)).await;
            let Some(Err(error)) = failed else { return };
            tracing::warn!(resource = self.kind.plural, %error, ?delay, "watch cache lost the store, starting again");
            if shutdown.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
                return;
            }
            delay = LAST_RETRY.min(delay * 2);
        }
    }

    async fn follow(&self, delay: &mut Duration) -> Result<Infallible, Error> {
        let page = self.store.list(self.keys.prefix(), ListOptions::default()).await?;
        let mut watch = self.store.watch(self.keys.prefix(), Some(page.revision)).await?;
        let entries = page.items.into_iter().filter_map(|kv| self.entry(kv)).collect();
        let wake = self.state.write().reset(entries, page.revision);
        *self.progress.lock() = Some(watch.progress());
        wake.iter().for_each(|one| one.notify_waiters());
        self.known.send_replace(page.revision);
        *delay = FIRST_RETRY;
        while let Some(batch) = watch.next().await {
            let batch = batch?;
            let updates = batch.events.into_iter().filter_map(|event| self.update(event)).collect();
            let wake = self.state.write().apply(updates, batch.revision);
            wake.iter().for_each(|one| one.notify_waiters());
            self.known.send_replace(batch.revision);
        }
        Err(Error::Unavailable { reason: "the watch ended".to_owned() })
    }

    fn update(&self, event: Event) -> Option<Update> {
        match event {
            Event::Put { kv, .. } => {
                if let Some(entry) = self.own_write(&kv) {
                    return Some(Update::Put(entry));
                }
                self.entry(kv).map(Update::Put)
            }
            Event::Delete { key, mod_revision, .. } => {
                let key = key.strip_prefix(self.keys.prefix())?.into();
                Some(Update::Delete { key, revision: mod_revision })
            }
        }
    }

    /// The entry of what this server wrote itself, which need not be decoded again.
    fn own_write(&self, kv: &KeyValue) -> Option<Arc<Entry>> {
        let key = kv.key.strip_prefix(self.keys.prefix())?;
        let mut own = self.own.lock();
        if own.get(key)?.revision() > kv.mod_revision {
            return None;
        }
        own.remove(key).filter(|entry| entry.revision() == kv.mod_revision)
    }

    /// The entry of a stored value.
    pub(crate) fn entry(&self, kv: KeyValue) -> Option<Arc<Entry>> {
        let key: Arc<str> = kv.key.strip_prefix(self.keys.prefix())?.into();
        let entry = if self.kind.is_custom() {
            self.custom_entry(key, &kv)
        } else {
            let opened = envelope::decode(&kv.value).map_err(|error| error.to_string());
            match opened.and_then(|envelope| storage::from_stored(self.kind, envelope)) {
                Ok(raw) => Entry::decode(self.kind, key, kv.mod_revision, &raw),
                Err(reason) => Entry::faulty(self.kind, key, kv.mod_revision, &kv.value, &reason),
            }
        };
        if let Err(error) = entry.readable() {
            tracing::error!(key = kv.key, %error, "a stored object is damaged");
        }
        Some(Arc::new(entry))
    }

    fn custom_entry(&self, key: Arc<str>, kv: &KeyValue) -> Entry {
        match storage::custom_from_stored(self.kind, &kv.value) {
            Ok(Opened::Own(raw, outdated)) => {
                Entry::decode(self.kind, key, kv.mod_revision, &raw).marked_outdated(outdated)
            }
            Ok(Opened::Foreign(outdated)) => {
                Entry::foreign(self.kind, key, kv.mod_revision, kv.value.clone()).marked_outdated(outdated)
            }
            Err(reason) => Entry::faulty(self.kind, key, kv.mod_revision, &kv.value, &reason),
        }
    }
}
