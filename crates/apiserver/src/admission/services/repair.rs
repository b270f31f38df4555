//! Puts right what crashes left: reservations without a Service, Services without a reservation.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::Resource as _;
use gantry_api::core::v1::Service;
use gantry_store::{Error, ListOptions};
use tokio_util::sync::CancellationToken;

use super::{addresses, held_by, ports};
use crate::cache::Selection;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// How often. What has no Service in two rounds is given back: no write takes that long.
const INTERVAL: Duration = Duration::from_secs(180);
const RETRY: Duration = Duration::from_secs(5);

/// Repairs now and then until the token is cancelled.
pub(crate) async fn run(verbs: &Verbs, shutdown: CancellationToken) {
    let mut suspects = HashSet::new();
    loop {
        let pause = match verbs.repair_reservations(&mut suspects).await {
            Ok(()) => INTERVAL,
            Err(error) => {
                tracing::debug!(%error, "reservations of Services cannot be checked now");
                RETRY
            }
        };
        if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

impl Verbs {
    /// One round. `suspects` are the reservations that had no Service in the round before.
    pub(crate) async fn repair_reservations(&self, suspects: &mut HashSet<String>) -> Result<(), ApiError> {
        let failed = |error| ApiError::from_store(Service::kind(), "", error);
        let mut reserved = HashSet::new();
        for prefix in [addresses::PREFIX, ports::PREFIX] {
            let stored = self.stored_key(prefix);
            let page = self.store().list(&stored, ListOptions::default()).await.map_err(failed)?;
            let key = |full: String| format!("{prefix}{}", &full[stored.len()..]);
            reserved.extend(page.items.into_iter().map(|kv| key(kv.key)));
        }
        // Read after the reservations: whatever was reserved for a Service that is there now is seen.
        let cache = self.cache(Service::kind())?;
        cache.catch_up().await?;
        let mut needed = HashSet::new();
        for entry in cache.list(&Selection::default(), None, 0)?.items {
            for key in held_by(&*entry.object()?) {
                if !reserved.contains(&key) {
                    let holder = Bytes::copy_from_slice(entry.key().as_bytes());
                    match self.store().create(&self.stored_key(&key), holder, None).await {
                        Ok(_) => tracing::info!(key, service = %entry.key(), "restored a reservation"),
                        Err(Error::AlreadyExists { .. }) => {}
                        Err(error) => return Err(failed(error)),
                    }
                }
                needed.insert(key);
            }
        }
        let orphans: HashSet<String> = reserved.difference(&needed).cloned().collect();
        let leaked: Vec<String> = orphans.intersection(suspects).cloned().collect();
        if !leaked.is_empty() {
            tracing::info!(count = leaked.len(), "giving back reservations without a Service");
            self.release(leaked).await;
        }
        *suspects = orphans;
        Ok(())
    }
}
