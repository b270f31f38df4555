//! Versions of custom resources whose objects differ in more than names: a webhook turns one into the other.
//!
//! The caches hold what is stored. An object of another version than the cache's is an entry that is converted when
//! somebody wants to see it, many in one review, and what comes of it is kept with the entry: whoever comes later finds
//! it, and who comes meanwhile waits. What is written is converted on its way to the store, and what the client gets
//! back is made of that, so that it is what everybody else will see.

mod review;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::{Kind, Object};
use serde_json::Value;

use crate::admission::Asked;
use crate::admission::asked::typed;
use crate::cache::{Attributes, Entry, Page, Selection, storage};
use crate::status::ApiError;
use crate::verbs::Verbs;
use crate::webhook::Endpoint;

pub(crate) use watch::Converter;

/// How long a webhook may take, and how long somebody waits for what another has asked for.
const LIMIT: Duration = Duration::from_secs(30);
/// How many objects one review has at most, and how many bytes of them, so that the answer is not too large to be read.
const MAX_OBJECTS: usize = 500;
const MAX_BYTES: usize = 1 << 20;

impl Verbs {
    /// An object as its kind shows it.
    pub(crate) async fn converted(&self, entry: Arc<Entry>) -> Result<Arc<Entry>, ApiError> {
        if entry.unconverted().is_none() {
            return Ok(entry);
        }
        self.convert_entries(std::slice::from_ref(&entry)).await?;
        shown(&entry)
    }

    /// Objects as their kind shows them. One that cannot be converted fails all.
    pub(crate) async fn all_converted(&self, entries: &[Arc<Entry>]) -> Result<Vec<Arc<Entry>>, ApiError> {
        self.convert_entries(entries).await?;
        entries.iter().map(shown).collect()
    }

    /// A page of objects that were chosen by their place alone: converted, and cut to what is selected.
    pub(crate) async fn page_converted(
        &self,
        page: Page,
        selection: &Selection,
        limit: usize,
    ) -> Result<Page, ApiError> {
        if selection.is_everything() {
            return Ok(Page { items: self.all_converted(&page.items).await?, ..page });
        }
        let mut cut = Page { items: Vec::new(), remaining: None, ..page };
        for part in page.items.chunks(MAX_OBJECTS) {
            for entry in self.all_converted(part).await? {
                if !selection.matches(&entry) {
                    continue;
                }
                if limit > 0 && cut.items.len() == limit {
                    cut.more = true;
                    return Ok(cut);
                }
                cut.items.push(entry);
            }
        }
        Ok(cut)
    }

    async fn convert_entries(&self, entries: &[Arc<Entry>]) -> Result<(), ApiError> {
        let is_open = |entry: &&Arc<Entry>| entry.unconverted().is_some() && entry.converted().is_none();
        let mut open: Vec<&Arc<Entry>> = entries.iter().filter(is_open).collect();
        if open.is_empty() {
            return Ok(());
        }
        // All take their turns in one order, so that nobody waits for somebody who waits for him. Who waits too long asks
        // by himself.
        let mut order = open.clone();
        order.sort_by_key(|entry| Arc::as_ptr(entry));
        order.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let turns = tokio::time::timeout(LIMIT, async {
            let mut turns = Vec::with_capacity(order.len());
            for entry in order {
                turns.push(entry.turn().await);
            }
            turns
        });
        let _turns = turns.await.ok();
        open.retain(is_open);
        let mut rest = open.as_slice();
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_len(rest));
            self.convert_batch(batch).await?;
            rest = others;
        }
        Ok(())
    }

    /// Converts some entries of one kind.
    async fn convert_batch(&self, batch: &[&Arc<Entry>]) -> Result<(), ApiError> {
        let Some(kind) = batch.first().map(|entry| entry.kind()) else { return Ok(()) };
        let stored: Vec<Value> =
            batch.iter().map(|entry| self.stored_object(entry)).collect::<Result<_, _>>()?;
        let converted = self.convert_values(stored, kind, kind.version).await?;
        for (entry, value) in batch.iter().zip(converted) {
            let object = kind.decode_value(value).map_err(|error| unreadable(kind, &error))?;
            entry.keep(&object.encode(), Attributes::of(&*object));
        }
        Ok(())
    }

    /// What is stored, as the schema of its version has it.
    fn stored_object(&self, entry: &Entry) -> Result<Value, ApiError> {
        let kind = entry.kind();
        let value = entry.unconverted().cloned().unwrap_or_default();
        let value: Value = serde_json::from_slice(&value).map_err(ApiError::internal)?;
        let version = storage::version_of(kind, &value).map_err(ApiError::internal)?;
        let Some(of) = self.custom().version(kind, version) else {
            return Err(ApiError::without_reason(format!(
                "request to convert CR from an invalid group/version: {}/{version}",
                kind.group
            )));
        };
        let object = of.decode_value(value).map_err(|error| unreadable(of, &error))?;
        let value = object.to_value().map_err(ApiError::internal)?;
        Ok(typed(value, &of.api_version(), of.kind))
    }

    /// The JSON that is stored of an object, where a webhook makes it; nothing where nobody need be asked.
    pub(crate) async fn to_storage(&self, object: &dyn Object) -> Result<Option<Bytes>, ApiError> {
        let kind = object.kind();
        let Some(definition) = kind.definition().filter(|definition| definition.conversion().is_some())
        else {
            return Ok(None);
        };
        let version = definition.storage_version();
        if version == kind.version {
            return Ok(None);
        }
        let mut value = typed(object.to_value().map_err(ApiError::internal)?, &kind.api_version(), kind.kind);
        if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            // What only a stored object has is not stored.
            meta.remove("resourceVersion");
            meta.remove("selfLink");
        }
        let mut converted = self.convert_values(vec![value], kind, version).await?;
        let mut value = converted.pop().unwrap_or_default();
        let stored = self.custom().version(kind, version).and_then(Kind::definition);
        if let (Some(definition), Value::Object(fields)) = (stored, &mut value) {
            definition.prune(fields);
        }
        serde_json::to_vec(&value).map(|json| Some(json.into())).map_err(ApiError::internal)
    }

    /// What somebody is asked about, as an object of the version that he wants.
    pub(crate) async fn recast(
        &self,
        asked: &Asked,
        value: Value,
        from: &'static Kind,
        to: &'static Kind,
    ) -> Result<Value, ApiError> {
        let converts = to.definition().is_some_and(|definition| definition.conversion().is_some());
        if from == to || asked.shape.is_some() || !converts {
            return asked.recast(value, from, to);
        }
        let converted = self.convert_values(vec![value], to, to.version).await;
        let converted = converted.map_err(|error| ApiError::internal(&error.status().message))?.pop();
        let object = to.decode_value(converted.unwrap_or_default()).map_err(ApiError::internal)?;
        Ok(typed(object.to_value().map_err(ApiError::internal)?, &to.api_version(), to.kind))
    }

    /// The same of an object that there may be, as the request has it.
    pub(crate) async fn recast_any(
        &self,
        asked: &Asked,
        value: Option<&Value>,
        to: &'static Kind,
    ) -> Result<Option<Value>, ApiError> {
        match value {
            Some(value) => self.recast(asked, value.clone(), asked.kind, to).await.map(Some),
            None => Ok(None),
        }
    }

    /// Objects of one resource as objects of another version of it, by its webhook.
    async fn convert_values(
        &self,
        objects: Vec<Value>,
        kind: &'static Kind,
        version: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let refused = |why: String| ApiError::without_reason(why);
        let Some(definition) = kind.definition() else {
            return Err(ApiError::unavailable("the resource has changed, please try again"));
        };
        let config = definition.conversion().cloned().unwrap_or_default();
        let Some(review) = review::version(&config.conversion_review_versions) else {
            return Err(refused("no supported conversion review versions".to_owned()));
        };
        let of = objects.first().map(review::kind_of).unwrap_or_default();
        let failed = |why: String| refused(format!("conversion webhook for {of} failed: {why}"));
        let endpoint = Endpoint::of_conversion(&config.client_config.unwrap_or_default()).map_err(failed)?;
        let (uid, wanted) = (uuid::Uuid::new_v4().to_string(), format!("{}/{version}", kind.group));
        let question = review::question(review, &uid, &wanted, &objects);
        let body = serde_json::to_vec(&question).map_err(ApiError::internal)?;
        let answer = self.webhook_client().call(self, &endpoint, body, LIMIT).await.map_err(failed)?;
        let converted = review::answered(review, &uid, &answer).map_err(failed)?;
        if converted.len() != objects.len() {
            return Err(refused(format!(
                "conversion webhook for {of} returned {} objects, expected {}",
                converted.len(),
                objects.len()
            )));
        }
        objects
            .iter()
            .zip(converted)
            .map(|(original, converted)| review::accept(original, converted, &wanted).map_err(refused))
            .collect()
    }
}

/// How many entries from the first on go into one review.
fn batch_len(entries: &[&Arc<Entry>]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&&Arc<Entry>| {
        bytes += entry.unconverted().map_or(0, Bytes::len);
        bytes <= MAX_BYTES
    };
    entries.iter().take(MAX_OBJECTS).take_while(fits).count().max(1)
}

/// An entry that needs no conversion, or what came of it.
fn shown(entry: &Arc<Entry>) -> Result<Arc<Entry>, ApiError> {
    if entry.unconverted().is_none() {
        return Ok(entry.clone());
    }
    entry.converted().ok_or_else(|| ApiError::internal(format_args!("{entry:?} was not converted")))
}

fn unreadable(kind: &Kind, error: &gantry_api::DecodeError) -> ApiError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    ApiError::internal(format_args!("object of {}: {error}{cause}", kind.api_version()))
}
