//! The loop: follows pods and nodes, asks the [`Tracker`] what to do, and does it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gantry_api::core::v1::{Binding, Node, ObjectReference, Pod as WholePod, PodCondition};
use gantry_api::scalars::Time;
use gantry_api::{Resource, meta};
use gantry_client::{Client, Event, Informer, PatchType, Recorder, Writer};
use gantry_telemetry::health::Checks;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::metrics::Metrics;
use crate::pod::{POD_SCHEDULED, Pod};
use crate::snapshot::key;
use crate::tracker::{Attempt, Tracker};

/// How many assignments may be under way; the rest of the pods wait in the queue.
const MAX_BINDING: usize = 512;
/// How many decisions are taken before events are looked at again.
const BATCH: usize = 64;

/// The scheduler.
pub struct Service {
    client: Client,
    name: String,
    recorder: Recorder,
    metrics: Metrics,
    /// Set once it leads.
    informers: Arc<OnceLock<(Informer<Pod>, Informer<Node>)>>,
}

/// The outcome of an assignment.
struct Bound {
    pod: Arc<Pod>,
    node: String,
    result: Result<(), gantry_client::Error>,
    started: Instant,
}

impl Service {
    /// The scheduler that pods call `name`.
    #[must_use]
    pub fn new(client: Client, name: &str, recorder: Recorder, metrics: Metrics) -> Self {
        Self { client, name: name.to_owned(), recorder, metrics, informers: Arc::default() }
    }

    /// What tells whether it works. A candidate that waits is ready: it is what takes over.
    #[must_use]
    pub fn checks(&self) -> Checks {
        let checks = Checks::new();
        let informers = self.informers.clone();
        checks.readyz("informer-sync", move || {
            let Some((pods, nodes)) = informers.get() else { return Ok(()) };
            match (pods.has_synced(), nodes.has_synced()) {
                (true, true) => Ok(()),
                (false, true) => Err("pods not listed yet".to_owned()),
                (true, false) => Err("nodes not listed yet".to_owned()),
                (false, false) => Err("pods, nodes not listed yet".to_owned()),
            }
        });
        checks
    }

    /// Schedules until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let pods =
            Informer::<Pod>::partial(&self.client, Pod::kind()).transform(Pod::trim).spawn(stop.clone());
        let nodes = Informer::<Node>::builder(&self.client).spawn(stop.clone());
        // It runs once.
        let _ = self.informers.set((pods.clone(), nodes.clone()));
        let (mut pod_events, mut node_events) = (pods.subscribe(), nodes.subscribe());
        // Deciding before both are complete would find no nodes, or full ones empty.
        if !(nodes.synced().await && pods.synced().await) {
            return;
        }
        let start = Instant::now();
        let mut tracker = Tracker::new(&self.name);
        tracker.resync_nodes(&nodes.store().list(), start.elapsed());
        tracker.resync_pods(&pods.store().list(), start.elapsed());
        info!(pods = pods.store().list().len(), "scheduling");

        let (outcomes, mut finished) = mpsc::channel::<Bound>(MAX_BINDING);
        let mut work =
            Work { service: &self, writer: self.client.writer(), outcomes, binding: 0, said: HashMap::new() };
        loop {
            for _ in 0..BATCH {
                if work.binding >= MAX_BINDING {
                    break;
                }
                let Some(attempt) = tracker.next(start.elapsed()) else { break };
                work.carry_out(attempt);
            }
            self.metrics.pending(tracker.counts());
            let idle = if tracker.counts().active > 0 && work.binding < MAX_BINDING {
                Duration::ZERO
            } else {
                tracker.next_timer().map_or(Duration::from_secs(60), |at| at.saturating_sub(start.elapsed()))
            };
            tokio::select! {
                () = stop.cancelled() => return,
                event = node_events.next() => match event {
                    Some(Event::Added(node) | Event::Modified { new: node, .. }) => {
                        tracker.node_set(&node, start.elapsed());
                    }
                    Some(Event::Deleted(node)) => tracker.node_gone(node.name()),
                    Some(Event::Resync) => tracker.resync_nodes(&nodes.store().list(), start.elapsed()),
                    None => return,
                },
                event = pod_events.next() => match event {
                    Some(Event::Added(pod) | Event::Modified { new: pod, .. }) => {
                        tracker.pod_set(&pod, start.elapsed());
                    }
                    Some(Event::Deleted(pod)) => {
                        work.said.remove(&pod.meta().uid);
                        tracker.pod_gone(&pod, start.elapsed());
                    }
                    Some(Event::Resync) => {
                        work.said.clear();
                        tracker.resync_pods(&pods.store().list(), start.elapsed());
                    }
                    None => return,
                },
                Some(bound) = finished.recv() => {
                    work.binding -= 1;
                    work.report(&bound);
                    tracker.bound(&bound.pod, bound.result.is_ok(), start.elapsed());
                },
                () = tokio::time::sleep(idle) => {}
            }
        }
    }
}

/// What the loop has under way.
struct Work<'a> {
    service: &'a Service,
    writer: Writer,
    outcomes: mpsc::Sender<Bound>,
    binding: usize,
    /// What was last said on an unschedulable pod, by its uid: nothing is said twice.
    said: HashMap<String, String>,
}

impl Work<'_> {
    fn carry_out(&mut self, attempt: Attempt) {
        let started = Instant::now();
        match attempt {
            Attempt::Bind { pod, node } => {
                self.binding += 1;
                let (writer, outcomes) = (self.writer.clone(), self.outcomes.clone());
                tokio::spawn(async move {
                    let result = bind(&writer, &pod, &node).await;
                    // The receiver outlives every sender but at shutdown.
                    let _ = outcomes.send(Bound { pod, node, result, started }).await;
                });
            }
            Attempt::Report { pod, message } => {
                let profile = &self.service.name;
                self.service.metrics.attempt("unschedulable", profile, started.elapsed().as_secs_f64());
                self.service.recorder.event(&pod.reference(), "Warning", "FailedScheduling", &message);
                if self.said.insert(pod.meta().uid.clone(), message.clone()).as_ref() == Some(&message) {
                    return;
                }
                debug!(pod = key(&pod), message, "no node takes the pod");
                let writer = self.writer.clone();
                tokio::spawn(async move {
                    if let Err(error) = set_unschedulable(&writer, &pod, &message).await
                        && !error.is_not_found()
                    {
                        warn!(pod = key(&pod), %error, "the pod's condition was not written");
                    }
                });
            }
        }
    }

    fn report(&mut self, bound: &Bound) {
        let seconds = bound.started.elapsed().as_secs_f64();
        let (pod, profile) = (&bound.pod, &self.service.name);
        match &bound.result {
            Ok(()) => {
                self.said.remove(&pod.meta().uid);
                self.service.metrics.attempt("scheduled", profile, seconds);
                let message = format!("Successfully assigned {} to {}", key(pod), bound.node);
                self.service.recorder.event(&pod.reference(), "Normal", "Scheduled", &message);
            }
            // Deleted, or assigned by somebody else: the event that says so ends the matter.
            Err(error) if error.is_not_found() || error.is_conflict() => {
                debug!(pod = key(pod), %error, "the pod is not to be assigned any more");
            }
            Err(error) => {
                self.service.metrics.attempt("error", profile, seconds);
                warn!(pod = key(pod), node = bound.node, %error, "the assignment failed and is tried again");
            }
        }
    }
}

async fn bind(writer: &Writer, pod: &Pod, node: &str) -> Result<(), gantry_client::Error> {
    let binding = Binding {
        metadata: Some(meta::v1::ObjectMeta {
            name: pod.name().to_owned(),
            namespace: pod.namespace().to_owned(),
            uid: pod.meta().uid.clone(),
            ..Default::default()
        }),
        target: Some(ObjectReference { kind: "Node".into(), name: node.to_owned(), ..Default::default() }),
    };
    writer.create_subresource::<WholePod, _>(pod.namespace(), pod.name(), "binding", &binding).await
}

async fn set_unschedulable(writer: &Writer, pod: &Pod, message: &str) -> Result<(), gantry_client::Error> {
    let before = pod.status.iter().flat_map(|status| &status.conditions).find(|c| c.r#type == POD_SCHEDULED);
    let since = before.filter(|condition| condition.status == "False").and_then(|c| c.last_transition_time);
    let condition = PodCondition {
        r#type: POD_SCHEDULED.into(),
        status: "False".into(),
        reason: "Unschedulable".into(),
        message: message.to_owned(),
        last_transition_time: since.or_else(|| Some(Time::now())),
        ..Default::default()
    };
    let patch = serde_json::json!({
        "metadata": {"uid": pod.meta().uid},
        "status": {"conditions": [condition]}
    });
    writer.patch_status::<WholePod>(pod.namespace(), pod.name(), PatchType::StrategicMerge, &patch).await?;
    Ok(())
}
