//! Reservations in the store.

use bytes::Bytes;
use gantry_api::Resource as _;
use gantry_api::core::v1::Service;
use gantry_store::Error;

use super::addresses;
use crate::admission::Written;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// What a write of a Service took, and what it gives back once it is done.
#[derive(Debug, Default)]
#[must_use = "what is reserved must be settled"]
pub(crate) struct Reserved {
    fresh: Vec<String>,
    stale: Vec<String>,
}

impl Reserved {
    pub(super) fn took(&mut self, key: String) {
        self.fresh.push(key);
    }

    pub(super) fn has(&self, key: &String) -> bool {
        self.fresh.contains(key)
    }

    pub(super) fn take_fresh(&mut self) -> Vec<String> {
        std::mem::take(&mut self.fresh)
    }

    pub(super) fn set_stale(&mut self, stale: Vec<String>) {
        self.stale = stale;
    }
}

/// For whom something is reserved.
pub(super) struct Holder {
    /// `namespace/name`, for whoever reads the store.
    name: String,
    /// The keys that it holds already.
    before: Vec<String>,
    dry_run: bool,
}

/// What became of a reservation.
pub(super) enum Outcome {
    Reserved,
    Taken,
}

impl Holder {
    pub(super) fn of(service: &Service, before: &[String], dry_run: bool) -> Self {
        let name = format!("{}/{}", service.namespace(), service.name());
        Self { name, before: before.to_vec(), dry_run }
    }

    /// The Service's name, for messages.
    pub(super) fn name(&self) -> &str {
        self.name.split_once('/').map_or(&self.name, |(_, name)| name)
    }

    pub(super) fn holds(&self, key: &String) -> bool {
        self.before.contains(key)
    }
}

impl Verbs {
    /// Reserves a key. One that the holder has, or has just got, is its own.
    pub(super) async fn reserve_key(
        &self,
        key: String,
        holder: &Holder,
        reserved: &mut Reserved,
    ) -> Result<Outcome, ApiError> {
        if holder.holds(&key) || reserved.fresh.contains(&key) {
            return Ok(Outcome::Reserved);
        }
        let failed = |error| ApiError::from_store(Service::kind(), &holder.name, error);
        if holder.dry_run {
            let found = self.store().get(&self.stored_key(&key)).await.map_err(failed)?;
            let shown = match addresses::of_key(&key) {
                Some(address) => self.shown_address(address).await?.is_some(),
                None => false,
            };
            return Ok(if found.kv.is_some() || shown { Outcome::Taken } else { Outcome::Reserved });
        }
        let value = Bytes::copy_from_slice(holder.name.as_bytes());
        match self.store().create(&self.stored_key(&key), value, None).await {
            Ok(_) => {
                let shown = match addresses::of_key(&key) {
                    Some(address) => self.show_address(address, &holder.name).await,
                    None => Ok(Outcome::Reserved),
                };
                match shown {
                    Ok(Outcome::Reserved) => reserved.took(key),
                    Ok(Outcome::Taken) | Err(_) => self.release_key(&key).await,
                }
                shown
            }
            Err(Error::AlreadyExists { .. }) => Ok(Outcome::Taken),
            Err(error) => Err(failed(error)),
        }
    }

    /// Ends the write of a Service: what it does not need goes back. Of a write that may yet have happened nothing
    /// does.
    pub(in super::super) async fn settle_reserved(&self, reserved: Reserved, written: Written) {
        match written {
            Written::Yes => self.release(reserved.stale).await,
            Written::No => self.release(reserved.fresh).await,
            Written::Perhaps => {}
        }
    }

    /// Gives reservations back.
    pub(crate) async fn release(&self, keys: Vec<String>) {
        for key in keys {
            // The key last: until then nobody else has the address.
            if let Some(address) = addresses::of_key(&key)
                && let Err(error) = self.hide_address(&address.to_string()).await
            {
                tracing::warn!(key, %error, "an address stays until the next repair");
                continue;
            }
            self.release_key(&key).await;
        }
    }

    async fn release_key(&self, key: &str) {
        match self.store().delete(&self.stored_key(key), None).await {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => tracing::warn!(key, %error, "a reservation stays until the next repair"),
        }
    }
}
