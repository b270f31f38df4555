//! Bringing a cluster up, or taking up the one that is there.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use gantry_image_builder::{Layout, Registry};
use gantry_telemetry::wait;

use crate::kubeconfig::Servers;
use crate::pki::Identities;
use crate::plan::{MARK, Plan, plan};
use crate::process::Record;
use crate::spec::Spec;
use crate::{Binaries, Cluster, Error, Result, files, kubeconfig, logs, network, nodes, pki, preflight};
use crate::{Paths, supervisor};

/// How often readiness is asked for: the answer is a wait of this many milliseconds away at most.
const POLL: Duration = Duration::from_millis(5);
/// A process that had to be started this often before the cluster was ready will not get better.
const GIVE_UP_AFTER: u32 = 6;
/// How long one question may take while the cluster comes up.
const ASK_LIMIT: Duration = Duration::from_secs(2);
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How a cluster is brought up.
#[derive(Debug, Clone)]
pub struct Up {
    /// Where the programs are.
    pub binaries: Binaries,
    /// The program that runs the supervisor when called with `supervise --state-dir DIR`.
    pub kctl: PathBuf,
    /// An OCI image layout whose images are put into the cluster's registry.
    pub images: Option<PathBuf>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// Told of each step as it is done: what, and how long it took.
pub type Progress<'a> = &'a mut (dyn FnMut(&str, Duration) + Send);

impl Cluster {
    /// Brings the cluster up and waits until every node is Ready.
    pub async fn up(&self, up: &Up, progress: Progress<'_>) -> Result<()> {
        let limit = up.timeout;
        match tokio::time::timeout(limit, self.bring_up(up, progress)).await {
            Ok(result) => result,
            Err(_) => Err(self.not_ready(format!("the cluster is not up within {limit:?}"), "apiserver")),
        }
    }

    async fn bring_up(&self, up: &Up, progress: Progress<'_>) -> Result<()> {
        self.start(up, progress).await?;
        let mut clock = Instant::now();
        let images = async {
            match &up.images {
                Some(dir) => push_images(dir, Registry::new(self.spec.network.registry())).await,
                None => Ok(0),
            }
        };
        let (pushed, ()) = tokio::try_join!(images, self.api_ready())?;
        let what = if pushed > 0 { format!("API server, {pushed} images") } else { "API server".to_owned() };
        progress(&what, clock.elapsed());
        clock = Instant::now();
        self.nodes_ready().await?;
        progress(if self.spec.nodes == 1 { "node ready" } else { "nodes ready" }, clock.elapsed());
        Ok(())
    }

    /// Starts everything, or what is missing of it, and does not wait until it is ready.
    pub async fn start(&self, up: &Up, progress: Progress<'_>) -> Result<()> {
        let _lock = self.lock()?;
        let mut clock = Instant::now();
        let mut step = |what: &str| {
            progress(what, clock.elapsed());
            clock = Instant::now();
        };
        let running = self.supervisor()?;
        let fresh = running.is_none() && crate::leftovers::processes(&self.paths, &self.spec).is_empty();
        preflight::check(&self.spec, &up.binaries, fresh).await?;
        let plan = self.prepare(up)?;
        step("certificates and configuration");
        network::ensure(&self.spec.network).await?;
        nodes::ensure(&self.paths, &self.spec).await?;
        step("network and nodes");
        self.ensure_supervisor(up, &plan, running).await?;
        step("supervisor");
        Ok(())
    }

    /// Writes every file that the processes need, and returns the plan.
    fn prepare(&self, up: &Up) -> Result<Plan> {
        if let Some(old) = files::read_json::<Spec>(&self.paths.spec())?
            && old.network != self.spec.network
        {
            return Err(Error::Mismatch(format!(
                "the cluster in {} has number {}, not {}: kctl down it first",
                self.paths.root().display(),
                old.network.number,
                self.spec.network.number
            )));
        }
        // Before anything is made, so that `down` knows what to look for whenever this is interrupted.
        files::write_json(&self.paths.spec(), &self.spec)?;
        let identities = Identities::of(&self.spec);
        pki::ensure(&self.paths, &identities)?;
        kubeconfig::write_all(&self.paths, &Servers::of(&self.spec), &identities)?;
        configure(&self.paths, &self.spec)?;
        plan(&self.spec, &self.paths, &up.binaries)
    }

    /// Starts the supervisor, or replaces one that follows another plan.
    async fn ensure_supervisor(&self, up: &Up, plan: &Plan, running: Option<Record>) -> Result<()> {
        let old: Option<Plan> = files::read_json(&self.paths.plan())?;
        if let Some(record) = running {
            if old.as_ref() == Some(plan) {
                return Ok(());
            }
            record.identity.stop(STOP_GRACE).await;
        }
        files::write_json(&self.paths.plan(), plan)?;
        let log = logs::open(&self.paths.log(supervisor::NAME))?;
        let failed = |error: std::io::Error| Error::Command {
            command: up.kctl.display().to_string(),
            what: error.to_string(),
        };
        // In a session of its own and not a child of this process, so that neither ends the other.
        let status = tokio::process::Command::new("setsid")
            .arg("--fork")
            .arg(&up.kctl)
            .args(["supervise", "--state-dir"])
            .arg(self.paths.root())
            .env(MARK, self.paths.root())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .status()
            .await
            .map_err(failed)?;
        if status.success() { Ok(()) } else { Err(failed(std::io::Error::other(status.to_string()))) }
    }

    async fn api_ready(&self) -> Result<()> {
        let api = self.api()?;
        self.poll("apiserver", || async { within(ASK_LIMIT, api.get("/readyz")).await.map(drop) }).await
    }

    async fn nodes_ready(&self) -> Result<()> {
        let api = self.api()?;
        let wanted: Vec<String> = self.spec.nodes().map(|node| node.name()).collect();
        self.poll("kubelet-node-1", || async {
            let ready = within(ASK_LIMIT, api.ready_nodes()).await?;
            let missing: Vec<&str> =
                wanted.iter().filter(|name| !ready.contains(name)).map(String::as_str).collect();
            if missing.is_empty() {
                Ok(())
            } else {
                Err(Error::Api(format!("not Ready: {}", missing.join(", "))))
            }
        })
        .await
    }

    /// Asks until the answer is good. Ends early when a process of the cluster cannot be kept running.
    async fn poll<F, Fut>(&self, name: &str, mut ask: F) -> Result<()>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        let mut asked = 0_u32;
        // Bounded by the timeout of `up` around it.
        loop {
            let last = match ask().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            asked += 1;
            if asked.is_multiple_of(20)
                && let Some(failing) = self.crashing()?
            {
                return Err(self.not_ready(format!("{failing} keeps ending ({last})"), &failing));
            }
            if asked.is_multiple_of(200) {
                tracing::info!(name, %last, "still waiting");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn crashing(&self) -> Result<Option<String>> {
        let Some(plan) = files::read_json::<Plan>(&self.paths.plan())? else { return Ok(None) };
        for process in plan.processes {
            let record: Option<Record> = files::read_json(&self.paths.pid_file(&process.name))?;
            if record.is_some_and(|record| record.starts >= GIVE_UP_AFTER && !record.identity.is_alive()) {
                return Ok(Some(process.name));
            }
        }
        Ok(None)
    }

    fn not_ready(&self, what: String, name: &str) -> Error {
        Error::NotReady { what, log: files::tail(&self.paths.log(name), 15) }
    }
}

/// A question that hangs is asked again: what was asked first may be what is not ready.
async fn within<T>(limit: Duration, ask: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, ask)
        .await
        .unwrap_or_else(|_| Err(Error::Api(format!("no answer within {limit:?}"))))
}

/// Writes certificates and kubeconfigs for a cluster that something else starts, into the layout of a state directory.
pub fn write_credentials(dir: &Path, servers: &Servers, identities: &Identities) -> Result<()> {
    let paths = Paths::new(std::path::absolute(dir).map_err(Error::file(dir))?);
    pki::ensure(&paths, identities)?;
    kubeconfig::write_all(&paths, servers, identities)
}

/// Puts the images of the layout in `dir` into the registry as soon as it answers; returns how many there are.
async fn push_images(dir: &Path, registry: Registry) -> Result<usize> {
    let images = Layout::open(dir)?.images()?;
    wait::until(Duration::from_secs(60), POLL, "the registry", || registry.ping())
        .await
        .map_err(|error| Error::NotReady { what: error.to_string(), log: String::new() })?;
    for (reference, image) in &images {
        registry.push(reference, image).await?;
    }
    Ok(images.len())
}

/// The configuration files of what is not Gantry's own, and of the kubelets.
fn configure(paths: &Paths, spec: &Spec) -> Result<()> {
    let registry = format!(
        "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
         enabled: true\nhttp:\n  addr: {}\n",
        paths.registry().display(),
        spec.network.registry()
    );
    files::write(&paths.config("registry.yaml"), registry)?;
    for node in spec.nodes() {
        let containerd = format!(
            "version = 2\nroot = \"{}\"\nstate = \"/run/containerd\"\noom_score = 0\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.aufs\", \
             \"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.devmapper\", \
             \"io.containerd.snapshotter.v1.zfs\"]\n\
             [grpc]\naddress = \"{}\"\n",
            paths.node(&node).join("containerd").display(),
            crate::plan::CONTAINERD_SOCKET
        );
        files::write(&paths.config(&format!("containerd-{}.toml", node.name())), containerd)?;
        let kubelet = format!(
            "apiVersion: gantry.dev/v1alpha1\nkind: KubeletConfiguration\ncgroupRoot: /{}\nclusterDNS: [{}]\n\
             insecureRegistries: [\"{}\"]\n",
            node.cgroup(),
            crate::Network::DNS_SERVICE,
            spec.network.registry()
        );
        files::write(&paths.config(&format!("kubelet-{}.yaml", node.name())), kubelet)?;
    }
    Ok(())
}
