//! Events: what happened to an object, for people to read.
//!
//! Recording never waits. Repeats are counted in one event, floods are summed up or dropped, and so are events that the
//! API server does not take in time: they inform, nothing depends on them.

use std::sync::LazyLock;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use gantry_api::Resource;
use gantry_api::core::v1::{Event, EventSource, ObjectReference};
use jiff::Timestamp;
use prometheus::{IntCounterVec, Opts};
use tokio::sync::mpsc;
use tracing::debug;

use crate::{Client, Error, PatchType, Writer};

mod correlator;

use correlator::{Correlator, Verdict};

/// Events that wait to be written.
const QUEUE: usize = 1000;
/// Events that are being written.
const IN_FLIGHT: usize = 32;

/// Nothing out of the ordinary.
pub const NORMAL: &str = "Normal";
/// Something that a person may have to look at.
pub const WARNING: &str = "Warning";

/// Records events on behalf of a component. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Occurrence>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
struct Occurrence {
    object: ObjectReference,
    r#type: &'static str,
    reason: String,
    message: String,
    time: Timestamp,
}

fn dropped() -> prometheus::Result<IntCounterVec> {
    let opts = Opts::new("gantry_events_discarded_total", "Events that were not written, by cause");
    let dropped = IntCounterVec::new(opts, &["cause"])?;
    prometheus::default_registry().register(Box::new(dropped.clone()))?;
    Ok(dropped)
}

// Fails only where the name is invalid or taken, which every test finds.
static DROPPED: LazyLock<IntCounterVec> = LazyLock::new(|| dropped().expect("the name is valid and unique"));

impl Recorder {
    /// A recorder for `component`. Must be called within a runtime.
    #[must_use]
    pub fn new(client: Client, component: &str) -> Self {
        Self::with_host(client, component, "")
    }

    /// A recorder for a component of a node.
    #[must_use]
    pub fn with_host(client: Client, component: &str, host: &str) -> Self {
        let (queue, occurrences) = mpsc::channel(QUEUE);
        let source = EventSource { component: component.to_owned(), host: host.to_owned() };
        tokio::spawn(write(client, Correlator::new(source), occurrences));
        Self { queue }
    }

    /// Records what happened. Where too much happens at once, it is dropped and counted.
    pub fn event(
        &self,
        object: &ObjectReference,
        r#type: &'static str,
        reason: &str,
        message: impl Into<String>,
    ) {
        let occurrence = Occurrence {
            object: object.clone(),
            r#type,
            reason: reason.to_owned(),
            message: message.into(),
            time: Timestamp::now(),
        };
        if self.queue.try_send(occurrence).is_err() {
            DROPPED.with_label_values(&["queue_full"]).inc();
        }
    }

    /// Records what happened to an object.
    pub fn event_for<T: Resource>(
        &self,
        object: &T,
        r#type: &'static str,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.event(&object_reference(object), r#type, reason, message);
    }
}

/// A reference to an object, as events carry it.
#[must_use]
pub fn object_reference<T: Resource>(object: &T) -> ObjectReference {
    let kind = T::kind();
    let meta = object.meta();
    ObjectReference {
        kind: kind.kind.to_owned(),
        api_version: kind.api_version(),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectReference::default()
    }
}

async fn write(client: Client, mut correlator: Correlator, mut occurrences: mpsc::Receiver<Occurrence>) {
    let writer = client.writer();
    let mut writes = FuturesUnordered::new();
    let mut open = true;
    while open || !writes.is_empty() {
        tokio::select! {
            occurrence = occurrences.recv(), if open && writes.len() < IN_FLIGHT => match occurrence {
                Some(occurrence) => match correlator.correlate(occurrence) {
                    Verdict::Drop => DROPPED.with_label_values(&["spam"]).inc(),
                    verdict => writes.push(deliver(&writer, verdict)),
                },
                None => open = false,
            },
            Some(result) = writes.next(), if !writes.is_empty() => {
                if let Err(error) = result {
                    DROPPED.with_label_values(&["refused"]).inc();
                    debug!(error = &error as &dyn std::error::Error, "an event was not written");
                }
            }
        }
    }
}

async fn deliver(writer: &Writer, verdict: Verdict) -> Result<(), Error> {
    let event = match verdict {
        Verdict::Drop => return Ok(()),
        Verdict::Create(event) => event,
        Verdict::Repeat { event, patch } => {
            let patched = writer
                .patch::<Event>(event.namespace(), event.name(), PatchType::StrategicMerge, &patch)
                .await;
            match patched {
                // Events expire; the repeat of one that did is a new one.
                Err(error) if error.is_not_found() => event,
                result => return result.map(|_| ()),
            }
        }
    };
    match writer.create(&*event).await {
        // The answer to an earlier attempt was lost.
        Err(error) if error.is_already_exists() => Ok(()),
        result => result.map(|_| ()),
    }
}
