//! The last step of every write: from an object to stored bytes and an entry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::{DecodeError, Kind, Object};
use gantry_store::{Error, envelope};

use super::Verbs;
use crate::cache::{Attributes, Cache, Entry, storage};
use crate::status::ApiError;

/// An object ready to be stored.
pub(super) struct Sealed {
    kind: &'static Kind,
    key: Arc<str>,
    raw: Bytes,
    attributes: Attributes,
    /// The JSON that is stored, where somebody else made it.
    converted: Option<Bytes>,
}

impl Sealed {
    /// Encodes an object. What only a stored object has is not stored.
    pub(super) fn new(mut object: Box<dyn Object>, key: &str) -> Self {
        let meta = object.meta_mut();
        meta.resource_version.clear();
        meta.self_link.clear();
        let kind = object.kind();
        let attributes = Attributes::of(&*object);
        Self { kind, key: key.into(), raw: object.encode(), attributes, converted: None }
    }

    /// The same, stored as this JSON, if there is some.
    pub(super) fn converted_to(self, json: Option<Bytes>) -> Self {
        Self { converted: json, ..self }
    }

    /// The encoded object.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    fn value(&self) -> gantry_store::Result<Bytes> {
        if let Some(json) = &self.converted {
            return Ok(json.clone());
        }
        if self.kind.is_custom() {
            let stored = storage::custom_to_stored(self.kind, &self.raw);
            return stored.map_err(|reason| Error::Internal { reason });
        }
        let kind = storage::stored_kind(self.kind);
        let internal = |error: DecodeError| Error::Internal { reason: error.to_string() };
        let raw = storage::to_stored(self.kind, &self.raw).map_err(internal)?;
        Ok(envelope::wrap(&kind.api_version(), kind.kind, &raw))
    }

    /// The entry once it is stored at `revision`; 0 if it is not, in a dry run.
    pub(super) fn entry(self, revision: i64) -> Arc<Entry> {
        if let Some(json) = self.converted {
            // What clients see is made of what is stored.
            return Arc::new(Entry::foreign(self.kind, self.key, revision, json));
        }
        Arc::new(Entry::new(self.kind, self.key, revision, &self.raw, self.attributes))
    }
}

impl Verbs {
    /// How long an object of the kind is kept; none for as long as nobody deletes it.
    fn ttl(&self, kind: &Kind) -> Option<Duration> {
        let ttl = self.settings().event_ttl;
        (kind.plural == "events" && !kind.is_custom() && !ttl.is_zero()).then_some(ttl)
    }

    /// Stores a new object.
    pub(super) async fn store_new(&self, cache: &Cache, sealed: Sealed) -> gantry_store::Result<Arc<Entry>> {
        let key = format!("{}{}", cache.keys().prefix(), sealed.key);
        let revision = self.store.create(&key, sealed.value()?, self.ttl(sealed.kind)).await?;
        let entry = sealed.entry(revision);
        cache.wrote(&entry);
        Ok(entry)
    }

    /// Stores a changed object, if what is stored is still at `expected`.
    pub(super) async fn store_changed(
        &self,
        cache: &Cache,
        sealed: Sealed,
        expected: i64,
    ) -> gantry_store::Result<Arc<Entry>> {
        let key = format!("{}{}", cache.keys().prefix(), sealed.key);
        let revision = self.store.update(&key, sealed.value()?, expected, self.ttl(sealed.kind)).await?;
        let entry = sealed.entry(revision);
        cache.wrote(&entry);
        Ok(entry)
    }

    /// Removes an object, if it is still at `expected`. Returns its last state at the revision of the removal.
    pub(super) async fn store_removed(
        &self,
        cache: &Cache,
        entry: &Entry,
    ) -> gantry_store::Result<Arc<Entry>> {
        let key = format!("{}{}", cache.keys().prefix(), entry.key());
        let deleted = self.store.delete(&key, Some(entry.revision())).await?;
        Ok(Arc::new(entry.at(deleted.revision)))
    }

    /// The object as the store has it.
    pub(super) async fn read_through(
        &self,
        cache: &Cache,
        key: &str,
        name: &str,
    ) -> Result<Option<Arc<Entry>>, ApiError> {
        let found = self.store.get(&format!("{}{key}", cache.keys().prefix())).await;
        let found = found.map_err(|error| ApiError::from_store(cache.kind(), name, error))?;
        Ok(found.kv.and_then(|kv| cache.entry(kv)))
    }
}
