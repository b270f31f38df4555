//! Puts right what crashes left: reservations without a Service, Services without a reservation.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use gantry_api::Resource as _;
use gantry_api::core::v1::Service;
use gantry_api::networking::v1::IpAddress;
use gantry_store::{Error, ListOptions};
use tokio_util::sync::CancellationToken;

use super::reserve::Outcome;
use super::{addresses, held_by, objects, ports};
use crate::cache::Selection;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// How often. What has no Service in two rounds is given back: no write takes that long.
const INTERVAL: Duration = Duration::from_secs(180);
const RETRY: Duration = Duration::from_secs(5);

/// How often the objects of addresses are looked at: whoever deletes one sees it come back soon.
const OBJECTS: Duration = Duration::from_secs(10);

/// Looks after the objects of addresses until the token is cancelled.
pub(crate) async fn run_objects(verbs: &Verbs, shutdown: CancellationToken) {
    let mut suspects = HashSet::new();
    loop {
        let pause = match verbs.repair_addresses(&mut suspects).await {
            Ok(()) => OBJECTS,
            Err(error) => {
                tracing::debug!(%error, "the objects of addresses cannot be checked now");
                RETRY
            }
        };
        if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

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
    /// One round: makes the objects that Services' addresses lack, and removes those of the server's own that have had
    /// no Service in this round and the one before, which are `suspects`.
    pub(crate) async fn repair_addresses(&self, suspects: &mut HashSet<String>) -> Result<(), ApiError> {
        // The objects first: whatever was made for a Service that is there now is seen.
        let mut shown = HashMap::new();
        let cache = self.cache(IpAddress::kind())?;
        cache.catch_up().await?;
        for entry in cache.list(&Selection::default(), None, 0)?.items {
            let object = entry.object()?;
            let Some(address) = object.downcast_ref::<IpAddress>() else { continue };
            shown.insert(address.name().to_owned(), address.clone());
        }
        let cache = self.cache(Service::kind())?;
        cache.catch_up().await?;
        let mut held = HashSet::new();
        for entry in cache.list(&Selection::default(), None, 0)?.items {
            for address in held_by(&*entry.object()?).iter().filter_map(|key| addresses::of_key(key)) {
                if !shown.contains_key(&address.to_string())
                    && matches!(self.show_address(address, entry.key()).await?, Outcome::Reserved)
                {
                    tracing::info!(%address, service = %entry.key(), "showed an address that was not shown");
                }
                held.insert(format!("{address} {}", entry.key()));
            }
        }
        let own = |address: &IpAddress| {
            let (label, value) = objects::MANAGED_BY;
            address.meta().labels.get(label).is_some_and(|by| by == value)
        };
        let orphans = shown.into_iter().filter(|(_, address)| own(address)).filter_map(|(name, address)| {
            let holder = objects::holder(&address)?;
            (!held.contains(&format!("{name} {holder}"))).then_some(name)
        });
        let orphans: HashSet<String> = orphans.collect();
        for address in orphans.intersection(suspects) {
            tracing::info!(address, "removed an address without a Service");
            self.hide_address(address).await?;
        }
        *suspects = orphans;
        Ok(())
    }

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
