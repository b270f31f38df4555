//! The actor of one pod: gathers what is known of it, decides, and carries out.

mod handle;
mod message;
mod perform;
mod prepare;
mod publish;
mod records;
mod references;
mod resize;
mod start;
mod stop;
mod teardown;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::core::v1::Pod;
use gantry_container_runtime::ContainerStatus;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

pub use message::{Input, Message};
pub(crate) use prepare::chain;
pub(crate) use teardown::tear_down;

use crate::host::Host;
use crate::paths::PodPaths;
use crate::pod::decide::{Action, ProbeKey, decide};
use crate::pod::resize::{Allocated, Resize, given, requests, with_allocated};
use crate::pod::snapshot::{PodSnapshot, Step, TearDown};
use crate::pod::status::changes_at;
use crate::probe::worker::Report;

/// News that may wait for the actor.
const MAILBOX: usize = 64;
/// Without anything to wait for, the actor looks again after this time.
const IDLE: Duration = Duration::from_secs(3600);

/// Speaks to an actor.
#[derive(Debug, Clone)]
pub struct Handle {
    input: watch::Sender<Input>,
    mailbox: mpsc::Sender<Message>,
    view: watch::Receiver<PodView>,
}

/// What others may see of a pod.
#[derive(Debug, Clone, Default)]
pub struct PodView {
    /// The object.
    pub pod: Arc<Pod>,
    /// Containers by name: the newest instance, and the one before.
    pub containers: BTreeMap<String, ContainerView>,
}

/// What others may see of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerView {
    /// The newest instance's id and attempt.
    pub latest: Option<(String, u32)>,
    /// Those of the instance before.
    pub previous: Option<(String, u32)>,
    /// Whether the newest runs.
    pub running: bool,
}

impl Handle {
    /// Tells the actor what the API says now.
    pub fn update(&self, input: Input) {
        self.input.send_replace(input);
    }

    /// Tells the actor something; `false` when it has ended.
    pub async fn tell(&self, message: Message) -> bool {
        self.mailbox.send(message).await.is_ok()
    }

    /// The pod as it is now.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<PodView> {
        self.view.clone()
    }
}

/// Starts to look after a pod, whose `containers` were there before. The task ends when nothing of the pod is left.
pub fn spawn(
    host: Arc<Host>,
    pod: Arc<Pod>,
    containers: Vec<ContainerStatus>,
) -> (Handle, tokio::task::JoinHandle<()>) {
    let (input, inputs) = watch::channel(Input::Pod(Arc::clone(&pod)));
    let (mailbox, messages) = mpsc::channel(MAILBOX);
    let (view, views) = watch::channel(PodView { pod: Arc::clone(&pod), containers: BTreeMap::new() });
    let mut actor = Actor::new(host, pod, mailbox.clone(), view);
    actor.adopt(&containers);
    let task = tokio::spawn(actor.run(inputs, messages));
    (Handle { input, mailbox, view: views }, task)
}

struct Actor {
    host: Arc<Host>,
    paths: PodPaths,
    snapshot: PodSnapshot,
    /// The object as the API has it.
    desired: Arc<Pod>,
    /// What its containers have been given.
    allocated: Allocated,
    mailbox: mpsc::Sender<Message>,
    view: watch::Sender<PodView>,
    tasks: JoinSet<message::Outcome>,
    kinds: HashMap<Id, message::TaskKind>,
    /// Cancelled when the pod is to end.
    starting: CancellationToken,
    connected: message::Connected,
    volumes: BTreeMap<String, PathBuf>,
    refresh: Refresh,
    references: Arc<references::Followed>,
    tokens: Arc<tokens::Held>,
    /// Dropped with the actor.
    reference_tasks: JoinSet<()>,
    stops: HashMap<String, stop::StopHandle>,
    probes: HashMap<ProbeKey, tokio::task::JoinHandle<()>>,
    reports: mpsc::Sender<Report>,
    reports_in: Option<mpsc::Receiver<Report>>,
    /// Every container that was ever seen, for the day when nothing may be left.
    ids: BTreeSet<String>,
    publisher: publish::Publisher,
    deletion: Step,
    /// How often sandbox or volumes could not be made.
    step_failures: u32,
    start_observed: bool,
}

/// Whether the volumes that show objects are being written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refresh {
    Idle,
    Busy,
    /// Something changed while they were written.
    Again,
}

impl Actor {
    fn new(
        host: Arc<Host>,
        pod: Arc<Pod>,
        mailbox: mpsc::Sender<Message>,
        view: watch::Sender<PodView>,
    ) -> Self {
        let meta = pod.metadata.clone().unwrap_or_default();
        let spec = pod.spec.clone().unwrap_or_default();
        let references = Arc::new(references::Followed::start(host.cluster.as_ref(), &meta.namespace, &spec));
        let mut reference_tasks = references.watch(&mailbox);
        let tokens = Arc::new(tokens::Held::new());
        reference_tasks.spawn(tokens.watch(mailbox.clone()));
        let (reports, reports_in) = mpsc::channel(MAILBOX);
        let paths = host.paths.pod(&meta.uid, &meta.namespace, &meta.name);
        let now = Timestamp::now();
        let allocated = given(&pod);
        let as_given = with_allocated(&pod, &allocated);
        host.allocations.note(&meta.uid, as_given.spec.as_ref().map(requests).unwrap_or_default());
        let snapshot = PodSnapshot {
            now,
            removed: None,
            sandbox: Step::Absent,
            volumes: Step::Absent,
            teardown: TearDown::None,
            addresses: Vec::new(),
            host_addresses: host.facts.addresses.clone(),
            started_at: now,
            containers: BTreeMap::new(),
            resize: Resize::default(),
            status_sent: false,
            pod: as_given,
        };
        Self {
            publisher: publish::Publisher::new(pod.status.clone().unwrap_or_default()),
            host,
            paths,
            snapshot,
            desired: pod,
            allocated,
            mailbox,
            view,
            tasks: JoinSet::new(),
            kinds: HashMap::new(),
            starting: CancellationToken::new(),
            connected: message::Connected::default(),
            volumes: BTreeMap::new(),
            refresh: Refresh::Idle,
            references,
            tokens,
            reference_tasks,
            stops: HashMap::new(),
            probes: HashMap::new(),
            reports,
            reports_in: Some(reports_in),
            ids: BTreeSet::new(),
            deletion: Step::Absent,
            step_failures: 0,
            start_observed: false,
        }
    }

    async fn run(mut self, mut inputs: watch::Receiver<Input>, mut messages: mpsc::Receiver<Message>) {
        let Some(mut reports) = self.reports_in.take() else { return };
        // What the API said before the task began counts too.
        inputs.mark_changed();
        let mut freed = self.host.allocations.freed();
        loop {
            let Some(wake) = self.step() else { return };
            let left = wake.duration_since(Timestamp::now());
            let left = Duration::try_from(left).unwrap_or_default().min(IDLE);
            let deferred = self.is_deferred();
            tokio::select! {
                // Without a manager there is nobody to look after the pod for.
                changed = inputs.changed() => match changed {
                    Ok(()) => {
                        let input = inputs.borrow_and_update().clone();
                        self.on_input(input);
                    }
                    Err(_) => return,
                },
                Some(message) = messages.recv() => {
                    self.on_message(message);
                    while let Ok(message) = messages.try_recv() {
                        self.on_message(message);
                    }
                }
                Some(report) = reports.recv() => self.on_report(report),
                Some(done) = self.tasks.join_next_with_id() => self.on_task(done),
                Ok(()) = freed.changed(), if deferred => self.allocate(),
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// Decides and acts until nothing is left to do now; says when to look again, or `None` at the end.
    fn step(&mut self) -> Option<Timestamp> {
        // Each round starts something that the snapshot then says is under way, so few are needed.
        const ROUNDS: usize = 16;
        let mut wake = Timestamp::MAX;
        for _ in 0..ROUNDS {
            self.snapshot.now = Timestamp::now();
            self.publish();
            wake = changes_at(&self.snapshot).unwrap_or(Timestamp::MAX).min(self.publisher.retry_at());
            let mut acted = false;
            for action in decide(&self.snapshot) {
                match action {
                    Action::WakeAt(time) => wake = wake.min(time),
                    Action::Forget => {
                        self.reference_tasks.abort_all();
                        self.stop_probes();
                        return None;
                    }
                    action => acted |= self.perform(action),
                }
            }
            if let Step::Failed(failure) = &self.deletion {
                wake = wake.min(failure.retry_at);
            }
            self.sync_probes();
            self.show();
            if !acted {
                return Some(wake);
            }
        }
        Some(wake.min(crate::pod::snapshot::after(Timestamp::now(), Duration::from_secs(1))))
    }

    /// Shows others what is known.
    fn show(&self) {
        let named = |instance: &crate::pod::snapshot::Instance| (instance.id.clone(), instance.attempt);
        let containers = self.snapshot.containers.iter().map(|(name, record)| {
            let view = ContainerView {
                latest: record.latest.as_ref().map(named),
                previous: record.previous.as_ref().map(named),
                running: record.is_running(),
            };
            (name.clone(), view)
        });
        let containers: BTreeMap<_, _> = containers.collect();
        self.view.send_if_modified(|view| {
            let same = Arc::ptr_eq(&view.pod, &self.snapshot.pod) && view.containers == containers;
            if !same {
                *view = PodView { pod: Arc::clone(&self.snapshot.pod), containers };
            }
            !same
        });
    }

    fn job(&self) -> prepare::Job {
        prepare::Job {
            host: Arc::clone(&self.host),
            pod: Arc::clone(&self.snapshot.pod),
            paths: self.paths.clone(),
            references: Arc::clone(&self.references),
            tokens: Arc::clone(&self.tokens),
            stop: self.starting.clone(),
        }
    }

    fn spawn<F>(&mut self, kind: message::TaskKind, future: F)
    where
        F: Future<Output = message::Outcome> + Send + 'static,
    {
        let handle = self.tasks.spawn(future);
        self.kinds.insert(handle.id(), kind);
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.host.allocations.release(&self.uid());
        self.stop_probes();
    }
}
