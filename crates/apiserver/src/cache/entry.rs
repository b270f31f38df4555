//! One revision of one object.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut as _, Bytes};
use gantry_api::{Kind, Object};

use crate::status::ApiError;

/// One revision of one object, as it is stored, listed and watched: its bytes are made once, its JSON on demand and
/// once, and both are shared by everyone who sends them.
pub struct Entry {
    kind: &'static Kind,
    /// `namespace/name`, or the name alone.
    key: Arc<str>,
    revision: i64,
    /// The message with `metadata.resourceVersion`.
    bytes: Bytes,
    attributes: Attributes,
    json: OnceLock<Bytes>,
    /// Why the stored bytes cannot be read, if they cannot.
    fault: Option<ApiError>,
    /// What is stored, where somebody must be asked to make of it what the kind is.
    foreign: Option<Box<Foreign>>,
    /// Whether it is stored in another version than it would be now.
    outdated: bool,
}

/// What is stored as another version, and what was made of it.
struct Foreign {
    /// Who asks for the conversion has the turn.
    turn: tokio::sync::Mutex<()>,
    converted: OnceLock<Arc<Entry>>,
}

/// What selectors look at.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    labels: BTreeMap<String, String>,
    fields: Vec<(&'static str, String)>,
}

impl Attributes {
    /// Those of an object.
    #[must_use]
    pub fn of(object: &dyn Object) -> Self {
        let mut fields = object.strategy().selectable_fields();
        fields.shrink_to_fit();
        Self { labels: object.meta().labels.clone(), fields }
    }
}

impl Entry {
    /// The entry of an object that was stored as `raw`, which has no resource version, at `revision`. An object that
    /// a dry run did not store has revision 0 and gets no resource version.
    #[must_use]
    pub fn new(
        kind: &'static Kind,
        key: Arc<str>,
        revision: i64,
        raw: &[u8],
        attributes: Attributes,
    ) -> Self {
        let bytes = stamp(raw, revision);
        Self {
            kind,
            key,
            revision,
            bytes,
            attributes,
            json: OnceLock::new(),
            fault: None,
            foreign: None,
            outdated: false,
        }
    }

    /// The entry of an object of another version of a custom resource, stored as this JSON: it is to be converted before
    /// anybody sees it, and nothing is known of it but its place.
    #[must_use]
    pub(crate) fn foreign(kind: &'static Kind, key: Arc<str>, revision: i64, value: Bytes) -> Self {
        let foreign = Foreign { turn: tokio::sync::Mutex::default(), converted: OnceLock::new() };
        Self {
            kind,
            key,
            revision,
            bytes: value,
            attributes: Attributes::default(),
            json: OnceLock::new(),
            fault: None,
            foreign: Some(Box::new(foreign)),
            outdated: false,
        }
    }

    /// The JSON of another version that is to be converted.
    #[must_use]
    pub(crate) fn unconverted(&self) -> Option<&Bytes> {
        self.foreign.as_ref().map(|_| &self.bytes)
    }

    /// What was made of an object of another version; nothing yet, or the entry needs no conversion.
    #[must_use]
    pub(crate) fn converted(&self) -> Option<Arc<Entry>> {
        self.foreign.as_ref()?.converted.get().cloned()
    }

    /// Waits until nobody else asks for the conversion.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match &self.foreign {
            Some(foreign) => Some(foreign.turn.lock().await),
            None => None,
        }
    }

    /// Keeps what was made of an object of another version, for everyone who asks from now on.
    pub(crate) fn keep(&self, raw: &[u8], attributes: Attributes) -> Arc<Entry> {
        let converted = Self::new(self.kind, self.key.clone(), self.revision, raw, attributes);
        let converted = Arc::new(Self { outdated: self.outdated, ..converted });
        match &self.foreign {
            Some(foreign) => foreign.converted.get_or_init(|| converted).clone(),
            None => converted,
        }
    }

    /// Marks it as stored in another version than it would be now.
    #[must_use]
    pub(crate) fn marked_outdated(self, outdated: bool) -> Self {
        Self { outdated, ..self }
    }

    /// Whether it is stored in another version than it would be now: writing it without a change is a change.
    #[must_use]
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// The entry of stored bytes that somebody else wrote. What cannot be read is an entry with a fault, not a gap:
    /// its name is taken, and whoever asks for it must learn why it is not served.
    #[must_use]
    pub fn decode(kind: &'static Kind, key: Arc<str>, revision: i64, raw: &Bytes) -> Self {
        match kind.decode(raw.clone()) {
            Ok(object) => Self::new(kind, key, revision, raw, Attributes::of(&*object)),
            Err(error) => Self::faulty(kind, key, revision, raw, &describe(&error)),
        }
    }

    /// The entry of stored bytes that cannot be read.
    #[must_use]
    pub fn faulty(kind: &'static Kind, key: Arc<str>, revision: i64, raw: &[u8], reason: &str) -> Self {
        let fault = corrupt(kind, &key, reason);
        Self { fault: Some(fault), ..Self::new(kind, key, revision, raw, Attributes::default()) }
    }

    /// Fails if the stored bytes cannot be read.
    pub fn readable(&self) -> Result<(), ApiError> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// The same object under another revision: how a watcher learns that it is deleted or out of its sight.
    #[must_use]
    pub fn at(&self, revision: i64) -> Self {
        if self.foreign.is_some() {
            let other = Self::foreign(self.kind, self.key.clone(), revision, self.bytes.clone());
            if let Some(converted) = self.converted() {
                other.keep(converted.raw(), converted.attributes.clone());
            }
            return other;
        }
        Self::new(self.kind, self.key.clone(), revision, self.raw(), self.attributes.clone())
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// `namespace/name`, or the name alone: unique and ordered within the kind.
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// The namespace; empty for cluster-scoped objects.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or(&*self.key, |(_, name)| name)
    }

    /// The revision of the write: `metadata.resourceVersion` as a number.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The message, protobuf without an envelope, with `metadata.resourceVersion`.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The message as it is stored: without the resource version.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        if self.foreign.is_some() {
            return &self.bytes;
        }
        &self.bytes[..self.bytes.len() - stamp_len(self.revision)]
    }

    /// The object, decoded anew: it takes several times the memory of its bytes, so it is not kept.
    pub fn object(&self) -> Result<Box<dyn Object>, ApiError> {
        self.readable()?;
        if self.foreign.is_some() {
            // Whoever hands entries out converts them before.
            return Err(corrupt(self.kind, &self.key, "it is of another version and was not converted"));
        }
        self.kind.decode(self.bytes()).map_err(|error| corrupt(self.kind, &self.key, &describe(&error)))
    }

    /// The JSON without `kind` and `apiVersion`, made by whoever asks first.
    pub fn json(&self) -> Result<Bytes, ApiError> {
        if let Some(json) = self.json.get() {
            return Ok(json.clone());
        }
        let object = self.object()?;
        let mut json = Vec::with_capacity(self.bytes.len() * 2);
        object.write_json(&mut json).map_err(ApiError::internal)?;
        json.shrink_to_fit();
        Ok(self.json.get_or_init(|| json.into()).clone())
    }

    /// A label's value.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.attributes.labels.get(key).map(String::as_str)
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.attributes.labels
    }

    /// The value of a field that selectors may name; `None` if the kind does not offer it.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<&str> {
        match path {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => Some(self.namespace()),
            _ => self
                .attributes
                .fields
                .iter()
                .find(|(field, _)| *field == path)
                .map(|(_, value)| value.as_str()),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}@{}", self.kind.plural, self.key, self.revision)
    }
}

fn describe(error: &gantry_api::DecodeError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn corrupt(kind: &Kind, key: &str, reason: &str) -> ApiError {
    ApiError::internal(format_args!("stored {} {key:?} cannot be read: {reason}", kind.plural))
}

const METADATA: u8 = 1 << 3 | 2;
const RESOURCE_VERSION: u8 = 6 << 3 | 2;

/// Appends the resource version. A message that occurs twice is merged by every protobuf decoder, so `metadata` can
/// be completed behind the encoded object, without decoding it.
fn stamp(raw: &[u8], revision: i64) -> Bytes {
    if revision == 0 {
        return Bytes::copy_from_slice(raw);
    }
    let digits = revision.to_string();
    let mut bytes = Vec::with_capacity(raw.len() + 4 + digits.len());
    bytes.put_slice(raw);
    // At most 19 digits: both lengths fit one byte.
    bytes.put_slice(&[METADATA, digits.len() as u8 + 2, RESOURCE_VERSION, digits.len() as u8]);
    bytes.put_slice(digits.as_bytes());
    bytes.into()
}

fn stamp_len(revision: i64) -> usize {
    revision.checked_ilog10().map_or(0, |digits| digits as usize + 5)
}

#[cfg(test)]
mod tests {
    use gantry_api::Resource;
    use gantry_api::core::v1::Pod;

    use super::*;

    #[test]
    fn the_resource_version_is_merged_into_the_bytes() {
        let mut pod = Pod::default();
        let meta = pod.metadata.get_or_insert_default();
        meta.name = "a".into();
        meta.labels.insert("app".into(), "web".into());
        let raw = Object::encode(&pod);
        for revision in [1, 9, 10, 1_234_567, i64::MAX] {
            let entry =
                Entry::new(<Pod as Resource>::kind(), "ns/a".into(), revision, &raw, Attributes::of(&pod));
            assert_eq!(entry.raw(), &raw[..]);
            let object = entry.object().unwrap();
            assert_eq!(object.meta().resource_version, revision.to_string());
            assert_eq!(object.meta().name, "a");
            assert_eq!(entry.label("app"), Some("web"));
            assert_eq!((entry.namespace(), entry.name()), ("ns", "a"));
            assert_eq!(entry.at(7).object().unwrap().meta().resource_version, "7");
        }
    }
}
