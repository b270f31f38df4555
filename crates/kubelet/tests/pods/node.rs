//! A node in memory: the fake runtime, an API that is a map, and namespaces that are names.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gantry_api::authentication::v1::{TokenRequest, TokenRequestStatus};
use gantry_api::core::v1::{ConfigMap, ContainerStatus, Pod, PodStatus, Secret, Service};
use gantry_api::scalars::Time;
use gantry_container_runtime::fake::FakeRuntime;
use gantry_container_runtime::{ImageConfig, Runtime};
use gantry_kubelet::allocations::{Allocations, Amounts};
use gantry_kubelet::cgroups::Cgroups;
use gantry_kubelet::cluster::{Cluster, Error, Followed, PodEvent, Severity, Subscription};
use gantry_kubelet::container::config::PodNamespaces;
use gantry_kubelet::host::{Host, NodeFacts};
use gantry_kubelet::identity::Identity;
use gantry_kubelet::metrics::Metrics;
use gantry_kubelet::paths::Paths;
use gantry_kubelet::pods::Pods;
use gantry_kubelet::sandbox::SandboxHost;
use gantry_kubelet::starts::Starts;
use gantry_pod_network::{
    Error as NetworkError, HostPorts, NodeRoute, PodAddresses, PodNetwork, PodRef, SandboxSpec,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Everything happens in memory: what is not there after this time never comes.
const LIMIT: Duration = Duration::from_secs(20);

/// What pods can be given.
const CAPACITY: Amounts = Amounts { cpu_milli: 2000, memory_bytes: 1 << 30 };

/// The API, as far as a node sees it.
#[derive(Default)]
pub(crate) struct FakeCluster {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pods: HashMap<String, Arc<Pod>>,
    revision: u64,
    news: Option<mpsc::UnboundedSender<PodEvent>>,
    config_maps: HashMap<String, watch::Sender<Followed<ConfigMap>>>,
    events: Vec<String>,
    status_writes: usize,
    tokens: usize,
}

impl FakeCluster {
    /// Creates or replaces a pod.
    pub(crate) fn apply(&self, mut pod: Pod) {
        let mut state = self.state.lock();
        state.revision += 1;
        let meta = pod.metadata.get_or_insert_default();
        meta.resource_version = state.revision.to_string();
        let pod = Arc::new(pod);
        state.pods.insert(pod.metadata.as_ref().unwrap().name.clone(), pod.clone());
        if let Some(news) = &state.news {
            let _ = news.send(PodEvent::Applied(pod));
        }
    }

    /// Asks for the end of a pod, as a deletion with a grace period does.
    pub(crate) fn delete(&self, name: &str, grace: i64) {
        let mut pod = (*self.pod(name).unwrap()).clone();
        let meta = pod.metadata.get_or_insert_default();
        meta.deletion_grace_period_seconds = Some(grace);
        let deadline = Timestamp::now() + Duration::from_secs(u64::try_from(grace).unwrap());
        meta.deletion_timestamp = Some(deadline.into());
        self.apply(pod);
    }

    /// Removes a pod at once.
    pub(crate) fn remove(&self, name: &str) {
        let mut state = self.state.lock();
        if let Some(pod) = state.pods.remove(name)
            && let Some(news) = &state.news
        {
            let _ = news.send(PodEvent::Deleted(pod));
        }
    }

    pub(crate) fn pod(&self, name: &str) -> Option<Arc<Pod>> {
        self.state.lock().pods.get(name).cloned()
    }

    /// What was told about pods, as `Reason: message`.
    pub(crate) fn events(&self) -> Vec<String> {
        self.state.lock().events.clone()
    }

    pub(crate) fn status_writes(&self) -> usize {
        self.state.lock().status_writes
    }

    pub(crate) fn set_config_map(&self, name: &str, data: &[(&str, &str)]) {
        let data = data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let map = ConfigMap { data, ..ConfigMap::default() };
        let mut state = self.state.lock();
        let sender =
            state.config_maps.entry(name.to_owned()).or_insert_with(|| watch::Sender::new(Followed::Absent));
        sender.send_replace(Followed::Present(Arc::new(map)));
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    fn pods(&self) -> mpsc::Receiver<PodEvent> {
        let (sender, receiver) = mpsc::channel(64);
        let (news, mut relay) = mpsc::unbounded_channel();
        let mut state = self.state.lock();
        let _ = news.send(PodEvent::Listed(state.pods.values().cloned().collect()));
        state.news = Some(news);
        tokio::spawn(async move {
            while let Some(event) = relay.recv().await {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }

    async fn write_status(&self, pod: &Pod, _: &PodStatus, status: &PodStatus) -> Result<Arc<Pod>, Error> {
        let name = pod.metadata.as_ref().unwrap().name.clone();
        let current = self.pod(&name).ok_or(Error::Gone { what: name.clone() })?;
        let mut new = (*current).clone();
        new.status = Some(status.clone());
        self.state.lock().status_writes += 1;
        self.apply(new);
        Ok(self.pod(&name).unwrap())
    }

    async fn delete_pod(&self, pod: &Pod) -> Result<(), Error> {
        self.remove(&pod.metadata.as_ref().unwrap().name);
        Ok(())
    }

    fn config_map(&self, _: &str, name: &str) -> Subscription<ConfigMap> {
        let mut state = self.state.lock();
        let sender =
            state.config_maps.entry(name.to_owned()).or_insert_with(|| watch::Sender::new(Followed::Absent));
        Subscription::new(sender.subscribe(), CancellationToken::new().drop_guard())
    }

    fn secret(&self, _: &str, _: &str) -> Subscription<Secret> {
        let (_, receiver) = watch::channel(Followed::Absent);
        Subscription::new(receiver, CancellationToken::new().drop_guard())
    }

    async fn token(
        &self,
        namespace: &str,
        account: &str,
        mut request: TokenRequest,
    ) -> Result<TokenRequest, Error> {
        let mut state = self.state.lock();
        if account == "missing" {
            return Err(Error::Failed { what: "token".into(), reason: "no such account".into() });
        }
        state.tokens += 1;
        let spec = request.spec.clone().unwrap();
        let token =
            format!("{namespace}/{account} for {} #{}", spec.bound_object_ref.unwrap().name, state.tokens);
        let seconds = Timestamp::now().as_second() + spec.expiration_seconds.unwrap();
        let expiration_timestamp = Some(Time { seconds, nanos: 0 });
        request.status = Some(TokenRequestStatus { token, expiration_timestamp });
        Ok(request)
    }

    async fn services(&self, _: &str) -> Vec<Arc<Service>> {
        Vec::new()
    }

    fn event(&self, _: &Pod, _: Option<&str>, _: Severity, reason: &str, message: &str) {
        self.state.lock().events.push(format!("{reason}: {message}"));
    }
}

/// Namespaces that exist only by name.
#[derive(Default)]
pub(crate) struct FakeSandboxes(Mutex<BTreeSet<String>>);

#[async_trait]
impl SandboxHost for FakeSandboxes {
    async fn create(&self, uid: &str, spec: &SandboxSpec) -> Result<PodNamespaces, NetworkError> {
        self.0.lock().insert(uid.to_owned());
        let network = spec.network.then(|| PathBuf::from(format!("/ns/{uid}/net")));
        Ok(PodNamespaces { network, ..PodNamespaces::default() })
    }

    fn network(&self, uid: &str) -> Result<Option<PathBuf>, NetworkError> {
        Ok(self.0.lock().contains(uid).then(|| PathBuf::from(format!("/ns/{uid}/net"))))
    }

    async fn destroy(&self, uid: &str) -> Result<(), NetworkError> {
        self.0.lock().remove(uid);
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>, NetworkError> {
        Ok(self.0.lock().iter().cloned().collect())
    }
}

/// Hands out one address per pod.
#[derive(Default)]
pub(crate) struct FakeNetwork(Mutex<HashMap<String, IpAddr>>);

#[async_trait]
impl PodNetwork for FakeNetwork {
    async fn setup(&self, pod: &PodRef, _: &Path) -> Result<PodAddresses, NetworkError> {
        let mut given = self.0.lock();
        let next = u8::try_from(given.len() + 2).unwrap();
        let address = *given.entry(pod.uid.clone()).or_insert(IpAddr::from([10, 0, 0, next]));
        Ok(PodAddresses { addresses: vec![address] })
    }

    async fn teardown(&self, pod: &PodRef, _: Option<&Path>) -> Result<(), NetworkError> {
        self.0.lock().remove(&pod.uid);
        Ok(())
    }

    async fn addresses(&self, pod: &PodRef) -> Option<PodAddresses> {
        self.0.lock().get(&pod.uid).map(|ip| PodAddresses { addresses: vec![*ip] })
    }

    async fn retain(&self, live: &BTreeSet<String>) -> Result<(), NetworkError> {
        self.0.lock().retain(|uid, _| live.contains(uid));
        Ok(())
    }

    async fn sync_routes(&self, _: &[NodeRoute]) -> Result<(), NetworkError> {
        Ok(())
    }
}

/// A node whose kubelet can be killed and started again.
pub(crate) struct Node {
    pub(crate) runtime: Arc<FakeRuntime>,
    pub(crate) cluster: Arc<FakeCluster>,
    pub(crate) sandboxes: Arc<FakeSandboxes>,
    pub(crate) network: Arc<FakeNetwork>,
    /// Used instead of `network` where there is one.
    plugins: Option<Arc<dyn PodNetwork>>,
    pub(crate) dir: tempfile::TempDir,
    kubelet: Option<tokio::task::JoinHandle<()>>,
}

impl Node {
    /// A node with the image `web:1` and a kubelet that runs.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| None)
    }

    /// A node whose pods are connected by the network that `plugins` makes in the node's directory.
    pub(crate) fn start_with(plugins: impl FnOnce(&Path) -> Option<Arc<dyn PodNetwork>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Arc::new(FakeRuntime::new());
        runtime.add_image("web:1", ImageConfig::default());
        let mut node = Self {
            runtime,
            cluster: Arc::default(),
            sandboxes: Arc::default(),
            network: Arc::default(),
            plugins: plugins(dir.path()),
            dir,
            kubelet: None,
        };
        node.start_kubelet();
        node
    }

    pub(crate) fn start_kubelet(&mut self) {
        let dir = self.dir.path();
        let network: Arc<dyn PodNetwork> = self.plugins.clone().unwrap_or_else(|| self.network.clone());
        let host = Host {
            runtime: self.runtime.clone(),
            cluster: self.cluster.clone(),
            sandboxes: self.sandboxes.clone(),
            network: watch::channel(Some(network)).1,
            host_ports: Arc::new(HostPorts::open(dir.join("host-ports")).unwrap()),
            cgroups: Cgroups::find(&dir.join("cgroup"), ""),
            paths: self.paths(),
            facts: NodeFacts { addresses: vec![IpAddr::from([10, 1, 0, 1])], ..NodeFacts::default() },
            metrics: Metrics::new().unwrap(),
            starts: Starts::default(),
            allocations: Allocations::new(CAPACITY),
        };
        let pods = Pods::new(Arc::new(host));
        self.kubelet = Some(tokio::spawn(pods.run(CancellationToken::new())));
    }

    pub(crate) fn paths(&self) -> Paths {
        let dir = self.dir.path();
        Paths::new(dir.join("root"), dir.join("run"), dir.join("logs"))
    }

    /// Ends the kubelet without letting it do anything more.
    pub(crate) async fn kill_kubelet(&mut self) {
        let task = self.kubelet.take().unwrap();
        task.abort();
        let _ = task.await;
        // Its actors notice that their manager is gone.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// Creates a pod with this specification; its UID is `uid-NAME`.
    pub(crate) fn create(&self, name: &str, spec: &str) {
        let text = format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"default","uid":"uid-{name}"}},"spec":{spec}}}"#
        );
        self.cluster.apply(serde_json::from_str(&text).unwrap());
    }

    /// The id of an instance of a container.
    pub(crate) async fn id(&self, pod: &str, container: &str, attempt: u32) -> String {
        let all = self.runtime.list_containers().await.unwrap();
        let is = |i: &Identity| i.pod == pod && i.container == container && i.attempt == attempt;
        let found = all.iter().find(|status| Identity::of(status).as_ref().is_some_and(is));
        found.unwrap_or_else(|| panic!("{pod} has no {container}/{attempt}: {all:?}")).id.clone()
    }

    /// Waits until the pod is as `is` wants it; fails with what it is otherwise.
    pub(crate) async fn until(&self, name: &str, is: impl Fn(&PodStatus) -> bool) -> PodStatus {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let status = self.cluster.pod(name).and_then(|pod| pod.status.clone()).unwrap_or_default();
            if is(&status) {
                return status;
            }
            let events = self.cluster.events();
            assert!(tokio::time::Instant::now() < deadline, "{name}: {status:#?}\n{events:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_running(&self, name: &str) -> PodStatus {
        self.until(name, |status| status.phase == "Running").await
    }

    /// Waits until nothing of the pod is left anywhere.
    pub(crate) async fn until_gone(&self, name: &str) {
        let uid = format!("uid-{name}");
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let containers = self.runtime.list_containers().await.unwrap();
            let left = [
                self.cluster.pod(name).is_some(),
                containers.iter().any(|c| c.labels.values().any(|label| *label == uid)),
                self.sandboxes.0.lock().contains(&uid),
                self.network.0.lock().contains_key(&uid),
                self.paths().pods().join(&uid).exists(),
            ];
            if left.iter().all(|left| !left) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{name} is not gone: {left:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The reason for which a container waits.
pub(crate) fn waiting(status: &ContainerStatus) -> &str {
    status.state.as_ref().and_then(|state| state.waiting.as_ref()).map_or("", |w| w.reason.as_str())
}

/// A condition's status.
pub(crate) fn condition<'a>(status: &'a PodStatus, name: &str) -> &'a str {
    status.conditions.iter().find(|c| c.r#type == name).map_or("", |c| c.status.as_str())
}
