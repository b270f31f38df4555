//! The cluster that is measured: brought up and ended by `kctl`, as a user does it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use gantry_client::{Client, Config};
use gantry_local_cluster::Cluster;
use tokio::process::Command;

/// Not the number that a user's own cluster has, so that both can run.
const NUMBER: &str = "99";

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
