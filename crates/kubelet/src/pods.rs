//! All pods of the node: their actors, the news for them, and the remains of pods that are gone.

mod directory;
mod orphans;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use gantry_api::core::v1::Pod;
use gantry_container_runtime::{ContainerStatus, Runtime, RuntimeEvent};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use directory::Directory;

use crate::cluster::PodEvent;
use crate::host::Host;
use crate::identity::Identity;
use crate::pod::actor::{self, Handle, Input, Message};

/// How long to wait before asking a runtime again that did not answer.
const RETRY: Duration = Duration::from_millis(250);

/// Looks after all pods of a node until `stop`. Containers go on running then.
pub struct Pods {
    host: Arc<Host>,
    directory: Directory,
    actors: HashMap<String, Handle>,
    /// Containers of pods that nobody looks after, by the pod's UID; known once the runtime has listed them.
    leftovers: Option<HashMap<String, Vec<ContainerStatus>>>,
    tasks: JoinSet<Done>,
    /// The UIDs of the first complete list of pods, and of what is left of others.
    listed: watch::Sender<Option<BTreeSet<String>>>,
}

/// What the manager's own tasks come to.
enum Done {
    Actor { uid: String, pod: Arc<Pod>, broken: bool },
    Containers(Vec<ContainerStatus>),
    Orphans,
}

impl Pods {
    /// No pods yet.
    #[must_use]
    pub fn new(host: Arc<Host>) -> Self {
        Self {
            host,
            directory: Directory::default(),
            actors: HashMap::new(),
            leftovers: None,
            tasks: JoinSet::new(),
            listed: watch::Sender::new(None),
        }
    }

    /// Finds pods by name.
    #[must_use]
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// The UIDs of all pods that may have something on this node, once that is known.
    #[must_use]
    pub fn listed(&self) -> watch::Receiver<Option<BTreeSet<String>>> {
        self.listed.subscribe()
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pods = self.host.cluster.pods();
        let mut events = self.host.runtime.events();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(event) = events.next() => self.on_runtime_event(event).await,
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.on_done(done).await,
                    Err(error) => tracing::error!(%error, "a task of the kubelet broke off: this is a bug"),
                },
                // What runs already must be known before anything is started.
                Some(event) = pods.recv(), if self.leftovers.is_some() => self.on_pod_event(event),
            }
        }
    }

    async fn on_runtime_event(&mut self, event: RuntimeEvent) {
        match event {
            RuntimeEvent::Resync => {
                let runtime = Arc::clone(&self.host.runtime);
                self.tasks.spawn(async move { Done::Containers(list(runtime.as_ref()).await) });
            }
            RuntimeEvent::Exit { status, .. } => self.on_exit(*status).await,
            // The exit says what has to be known.
            RuntimeEvent::Oom { .. } => {}
        }
    }

    async fn on_exit(&mut self, status: ContainerStatus) {
        let Some(uid) = Identity::of(&status).map(|identity| identity.pod_uid) else { return };
        if let Some(handle) = self.actors.get(&uid) {
            handle.tell(Message::Container(status)).await;
        } else if let Some(known) = self.leftovers.as_mut().and_then(|all| all.get_mut(&uid)) {
            // Listed as running, and ended before anybody looked after it.
            known.retain(|other| other.id != status.id);
            known.push(status);
        }
    }

    async fn on_done(&mut self, done: Done) {
        match done {
            Done::Containers(all) => self.on_containers(all).await,
            Done::Actor { uid, pod, broken } => {
                self.actors.remove(&uid);
                self.directory.remove(&pod);
                if broken {
                    tracing::error!(uid, "the actor of a pod broke off and is started anew: this is a bug");
                    let containers = list(self.host.runtime.as_ref()).await;
                    let mine = |c: &ContainerStatus| Identity::of(c).is_some_and(|i| i.pod_uid == uid);
                    self.look_after(pod, containers.into_iter().filter(mine).collect());
                }
            }
            Done::Orphans => {}
        }
    }

    /// Gives each actor its part of a complete list.
    async fn on_containers(&mut self, all: Vec<ContainerStatus>) {
        let mut by_pod: HashMap<String, Vec<ContainerStatus>> = HashMap::new();
        for status in all {
            if let Some(identity) = Identity::of(&status) {
                by_pod.entry(identity.pod_uid).or_default().push(status);
            }
        }
        for (uid, handle) in &self.actors {
            let mine = by_pod.remove(uid).unwrap_or_default();
            handle.tell(Message::Containers(mine)).await;
        }
        // Before the first list of pods nobody can say whose these are.
        if self.listed.borrow().is_none() {
            self.leftovers = Some(by_pod);
        }
    }

    fn on_pod_event(&mut self, event: PodEvent) {
        match event {
            PodEvent::Applied(pod) => self.apply(pod),
            PodEvent::Deleted(pod) => self.removed(&uid(&pod)),
            PodEvent::Listed(pods) => {
                let live: BTreeSet<String> = pods.iter().map(|pod| uid(pod)).collect();
                let gone: Vec<String> =
                    self.actors.keys().filter(|uid| !live.contains(*uid)).cloned().collect();
                for uid in gone {
                    self.removed(&uid);
                }
                for pod in pods {
                    self.apply(pod);
                }
                if self.listed.borrow().is_none() {
                    self.bury_orphans(live);
                }
            }
        }
    }

    /// Removes what is left of pods that ended while nobody looked.
    fn bury_orphans(&mut self, mut live: BTreeSet<String>) {
        let leftovers = self.leftovers.replace(HashMap::new()).unwrap_or_default();
        let orphans = orphans::find(&self.host, leftovers, &live);
        let host = Arc::clone(&self.host);
        live.extend(orphans.keys().cloned());
        self.listed.send_replace(Some(live));
        self.tasks.spawn(async move {
            orphans::bury(host, orphans).await;
            Done::Orphans
        });
    }

    fn removed(&mut self, uid: &str) {
        if let Some(handle) = self.actors.get(uid) {
            handle.update(Input::Removed(Timestamp::now()));
        }
    }

    fn apply(&mut self, pod: Arc<Pod>) {
        let uid = uid(&pod);
        // One of the same name that was replaced while nobody looked is gone.
        if let Some(former) = self.directory.uid(&pod).filter(|former| *former != uid) {
            self.removed(&former);
        }
        match self.actors.get(&uid) {
            Some(handle) => handle.update(Input::Pod(pod)),
            None => {
                let containers = self.leftovers.as_mut().and_then(|all| all.remove(&uid)).unwrap_or_default();
                self.look_after(pod, containers);
            }
        }
    }

    fn look_after(&mut self, pod: Arc<Pod>, containers: Vec<ContainerStatus>) {
        let uid = uid(&pod);
        let (handle, task) = actor::spawn(Arc::clone(&self.host), Arc::clone(&pod), containers);
        self.directory.insert(&pod, &uid, handle.clone());
        self.actors.insert(uid.clone(), handle);
        self.tasks.spawn(async move {
            let broken = task.await.is_err();
            Done::Actor { uid, pod, broken }
        });
    }
}

fn uid(pod: &Pod) -> String {
    pod.metadata.as_ref().map(|meta| meta.uid.clone()).unwrap_or_default()
}

/// All containers, as soon as the runtime answers. Whoever waits for it ends with the kubelet.
async fn list(runtime: &dyn Runtime) -> Vec<ContainerStatus> {
    let mut told = false;
    loop {
        match runtime.list_containers().await {
            Ok(containers) => return containers,
            Err(error) if !told => {
                tracing::warn!(%error, "the container runtime does not answer; trying again");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
    }
}
