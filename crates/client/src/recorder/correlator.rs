//! What becomes of an event: new, a repeat, one of many alike, or spam. No clock, no network.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use gantry_api::core::v1::{Event, EventSource, ObjectReference};
use gantry_api::meta::v1::ObjectMeta;
use gantry_api::scalars::Time;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Occurrence;

/// More different messages than this, for one object and reason, are summed up.
const ALIKE: usize = 10;
/// How long messages count as alike, and anything is remembered.
const MEMORY: SignedDuration = SignedDuration::from_mins(10);
/// Events per object at once ...
const BURST: f64 = 25.0;
/// ... and then one per so many seconds.
const REFILL: f64 = 300.0;
/// Entries in each of the memories.
const CAPACITY: usize = 4096;
/// Upstream's limit of a message.
const MAX_MESSAGE: usize = 1024;

/// What to write.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing.
    Drop,
    /// A new event.
    Create(Box<Event>),
    /// A repeat of an event that was written: patch it, or write it anew where it has expired.
    Repeat {
        /// The event with its new count.
        event: Box<Event>,
        /// The change.
        patch: Value,
    },
}

/// What is alike about events: everything but the message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Subject {
    object: String,
    r#type: &'static str,
    reason: String,
}

#[derive(Debug)]
struct Alike {
    messages: HashSet<String>,
    last: Timestamp,
}

#[derive(Debug)]
struct Written {
    name: String,
    first: Timestamp,
    last: Timestamp,
    count: i32,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    last: Timestamp,
}

#[derive(Debug)]
pub(super) struct Correlator {
    source: EventSource,
    alike: HashMap<Subject, Alike>,
    written: HashMap<(Subject, String), Written>,
    buckets: HashMap<String, Bucket>,
    sequence: u64,
}

impl Correlator {
    pub(super) fn new(source: EventSource) -> Self {
        Self { source, alike: HashMap::new(), written: HashMap::new(), buckets: HashMap::new(), sequence: 0 }
    }

    pub(super) fn correlate(&mut self, mut occurrence: Occurrence) -> Verdict {
        truncate(&mut occurrence.message);
        let now = occurrence.time;
        let object = object_key(&occurrence.object);
        let subject =
            Subject { object: object.clone(), r#type: occurrence.r#type, reason: occurrence.reason.clone() };
        let many = self.is_one_of_many(&subject, &occurrence.message, now);
        let key = if many {
            occurrence.message = format!("(combined from similar events): {}", occurrence.message);
            truncate(&mut occurrence.message);
            (subject, String::new())
        } else {
            (subject, occurrence.message.clone())
        };
        if !self.take_token(object, now) {
            return Verdict::Drop;
        }
        self.sequence += 1;
        let sequence = self.sequence;
        make_room(&mut self.written, now, |entry| entry.last);
        if let Some(entry) = self.written.get_mut(&key) {
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
            let event = event(&self.source, occurrence, entry);
            let patch = json!({ "count": event.count, "message": event.message, "lastTimestamp": event.last_timestamp });
            return Verdict::Repeat { event: Box::new(event), patch };
        }
        // Two events of one instant must not share a name.
        let unique = now.as_nanosecond().unsigned_abs().wrapping_add(sequence.into());
        let name = format!("{}.{unique:x}", occurrence.object.name);
        let entry = Written { name, first: now, last: now, count: 1 };
        let event = event(&self.source, occurrence, &entry);
        self.written.insert(key, entry);
        Verdict::Create(Box::new(event))
    }

    /// Whether there were too many different messages about one subject lately.
    fn is_one_of_many(&mut self, subject: &Subject, message: &str, now: Timestamp) -> bool {
        make_room(&mut self.alike, now, |entry| entry.last);
        let entry = self
            .alike
            .entry(subject.clone())
            .or_insert_with(|| Alike { messages: HashSet::new(), last: now });
        if now.duration_since(entry.last) > MEMORY {
            entry.messages.clear();
        }
        entry.last = now;
        if entry.messages.len() <= ALIKE {
            entry.messages.insert(message.to_owned());
        }
        entry.messages.len() > ALIKE
    }

    fn take_token(&mut self, object: String, now: Timestamp) -> bool {
        make_room(&mut self.buckets, now, |bucket| bucket.last);
        let bucket = self.buckets.entry(object).or_insert(Bucket { tokens: BURST, last: now });
        let elapsed = now.duration_since(bucket.last).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + elapsed / REFILL).min(BURST);
        bucket.last = now;
        let taken = bucket.tokens >= 1.0;
        if taken {
            bucket.tokens -= 1.0;
        }
        taken
    }
}

/// Forgets what is old where a memory is full, and everything where nothing is old.
fn make_room<K: Eq + Hash, V>(map: &mut HashMap<K, V>, now: Timestamp, last: impl Fn(&V) -> Timestamp) {
    if map.len() < CAPACITY {
        return;
    }
    map.retain(|_, entry| now.duration_since(last(entry)) <= MEMORY);
    if map.len() >= CAPACITY {
        map.clear();
    }
}

fn object_key(object: &ObjectReference) -> String {
    [&object.kind, &object.namespace, &object.name, &object.uid, &object.field_path]
        .map(String::as_str)
        .join("/")
}

/// Cuts at a character's boundary.
fn truncate(message: &mut String) {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
    }
}

fn event(source: &EventSource, occurrence: Occurrence, entry: &Written) -> Event {
    // Events about cluster-scoped objects live in the default namespace.
    let namespace = match occurrence.object.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    };
    Event {
        metadata: Some(ObjectMeta {
            name: entry.name.clone(),
            namespace: namespace.to_owned(),
            ..ObjectMeta::default()
        }),
        involved_object: Some(occurrence.object),
        reason: occurrence.reason,
        message: occurrence.message,
        source: Some(source.clone()),
        first_timestamp: Some(Time::from(entry.first)),
        last_timestamp: Some(Time::from(entry.last)),
        count: entry.count,
        r#type: occurrence.r#type.to_owned(),
        reporting_component: source.component.clone(),
        reporting_instance: source.host.clone(),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Correlator, Verdict};
    use crate::recorder::Occurrence;
    use gantry_api::core::v1::{EventSource, ObjectReference};
    use jiff::Timestamp;

    fn occurrence(message: &str, second: i64) -> Occurrence {
        Occurrence {
            object: ObjectReference { kind: "Pod".into(), name: "web".into(), ..Default::default() },
            r#type: "Warning",
            reason: "BackOff".into(),
            message: message.into(),
            time: Timestamp::from_second(second).unwrap(),
        }
    }

    fn correlator() -> Correlator {
        Correlator::new(EventSource { component: "kubelet".into(), host: "n1".into() })
    }

    #[test]
    fn repeats_are_counted() {
        let mut correlator = correlator();
        let Verdict::Create(first) = correlator.correlate(occurrence("again", 100)) else { panic!() };
        assert_eq!((first.count, first.metadata.as_ref().unwrap().namespace.as_str()), (1, "default"));
        let Verdict::Repeat { event, patch } = correlator.correlate(occurrence("again", 160)) else {
            panic!()
        };
        assert_eq!(event.metadata.as_ref().unwrap().name, first.metadata.unwrap().name);
        assert_eq!(event.first_timestamp, first.first_timestamp);
        assert_eq!(patch["count"], 2);
        assert_eq!(patch["lastTimestamp"], "1970-01-01T00:02:40Z");
    }

    #[test]
    fn many_alike_are_summed_up() {
        let mut correlator = correlator();
        for number in 0..10 {
            let verdict = correlator.correlate(occurrence(&format!("message {number}"), 100));
            assert!(matches!(verdict, Verdict::Create(_)));
        }
        let Verdict::Create(sum) = correlator.correlate(occurrence("message 10", 100)) else { panic!() };
        assert_eq!(sum.message, "(combined from similar events): message 10");
        let Verdict::Repeat { event, .. } = correlator.correlate(occurrence("message 11", 100)) else {
            panic!()
        };
        assert_eq!((event.count, event.message.as_str()), (2, "(combined from similar events): message 11"));
    }

    #[test]
    fn spam_is_dropped_until_tokens_return() {
        let mut correlator = correlator();
        for _ in 0..25 {
            assert!(!matches!(correlator.correlate(occurrence("again", 100)), Verdict::Drop));
        }
        assert!(matches!(correlator.correlate(occurrence("again", 100)), Verdict::Drop));
        assert!(!matches!(correlator.correlate(occurrence("again", 401)), Verdict::Drop));
    }

    #[test]
    fn memories_are_bounded() {
        let mut correlator = correlator();
        for number in 0..10_000 {
            let mut one = occurrence("again", 100);
            one.object.name = format!("web-{number}");
            correlator.correlate(one);
        }
        assert!(correlator.written.len() <= super::CAPACITY && correlator.buckets.len() <= super::CAPACITY);
    }
}
