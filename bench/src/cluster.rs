//! The cluster that is measured: brought up and ended by `kctl`, as a user does it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use gantry_client::{Client, Config};
use gantry_local_cluster::Cluster;
use tokio::process::Command;

use crate::cpu;

/// Not the number that a user's own cluster has, so that both can run.
const NUMBER: &str = "99";

/// The processes that work after a measurement is over.
const WORKING: [&str; 6] =
    ["apiserver", "controller-manager", "scheduler", "etcd", "kubelet-node-1", "containerd-node-1"];
/// They have come to rest when all together use no more than so much processor time in a period.
const PERIOD: Duration = Duration::from_millis(500);
const REST: Duration = Duration::from_millis(40);
/// What has not come to rest by then works for another reason, and what follows is measured all the same.
const SETTLE_LIMIT: Duration = Duration::from_secs(15);

/// Where the programs, the images and the cluster's state are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The directory of the programs.
    pub programs: PathBuf,
    /// The OCI image layout that the cluster's registry serves.
    pub images: PathBuf,
    /// The directory that the cluster's state is kept in while it runs.
    pub state: PathBuf,
}

/// A running cluster.
#[derive(Debug)]
pub struct Bench {
    cluster: Cluster,
}

impl Bench {
    /// Runs `kctl up`.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn up(place: &Place) -> anyhow::Result<Self> {
        let images = place.images.to_string_lossy().into_owned();
        kctl(place, &["up", "--number", NUMBER, "--images", &images]).await?;
        let cluster = Cluster::load(&place.state)?.context("kctl up left no cluster")?;
        Ok(Self { cluster })
    }

    /// A client with the administrator's rights.
    ///
    /// # Errors
    /// Where the kubeconfig cannot be used.
    pub fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(self.config()?)?)
    }

    /// What the client is made of.
    ///
    /// # Errors
    /// Where the kubeconfig cannot be read.
    pub fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::from_kubeconfig(&self.cluster.paths().kubeconfig())?.user_agent("gantry-bench"))
    }

    /// The address of its etcd.
    #[must_use]
    pub fn etcd(&self) -> String {
        format!("http://127.0.0.1:{}", self.cluster.spec().ports.etcd)
    }

    /// The reference of an image in its registry.
    #[must_use]
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.cluster.spec().network.registry())
    }

    /// Lets what a measurement left behind come to an end, so that the next one does not pay for it: the API shows pods
    /// as gone before their node has done all its work for them.
    ///
    /// # Errors
    /// Where a component does not run.
    pub async fn settle(&self) -> anyhow::Result<()> {
        let used = || WORKING.iter().map(|name| cpu::of(self.pid(name)?)).sum::<anyhow::Result<Duration>>();
        let begin = Instant::now();
        let mut before = used()?;
        while begin.elapsed() < SETTLE_LIMIT {
            tokio::time::sleep(PERIOD).await;
            let now = used()?;
            if now.saturating_sub(before) <= REST {
                return Ok(());
            }
            before = now;
        }
        eprintln!("the cluster has not come to rest within {SETTLE_LIMIT:?}");
        Ok(())
    }

    /// The process of a component, by the name of its log.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn pid(&self, name: &str) -> anyhow::Result<i32> {
        self.cluster.pid(name)?.with_context(|| format!("{name} does not run"))
    }
}

/// Ends the cluster of `place`, if there is one.
///
/// # Errors
/// Where `kctl down` fails.
pub async fn down(place: &Place) -> anyhow::Result<()> {
    kctl(place, &["down", "--purge"]).await
}

async fn kctl(place: &Place, args: &[&str]) -> anyhow::Result<()> {
    let program = place.programs.join("kctl");
    let mut command = Command::new(&program);
    command.args(args).arg("--state-dir").arg(&place.state).stdout(Stdio::null());
    let status = command.status().await.with_context(|| program.display().to_string())?;
    if !status.success() {
        bail!("kctl {} failed: {status}", args.join(" "));
    }
    Ok(())
}

/// The directory of this program, where its siblings are.
///
/// # Errors
/// Where the path of this program is not known.
pub fn programs() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_owned())
}
