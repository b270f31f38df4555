//! Carrying out the plan: the difference to what was applied last, in one transaction.

use std::{io, time::Instant};

use crate::{
    change::{diff, touches_udp},
    flows::{self, Served},
    metrics::Metrics,
    model::{Cluster, Snapshot},
    nft,
    plan::desired,
    ruleset::Ruleset,
    script,
};

/// Why the node's rules could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The transaction failed; the rules are as before.
    #[error(transparent)]
    Nft(#[from] nft::Error),
    /// A kernel parameter could not be written.
    #[error("cannot set sysctl {name}")]
    Sysctl {
        /// Its file below /proc/sys.
        name: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
}

/// What a synchronisation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The rules were right already.
    Unchanged,
    /// Some elements changed.
    Changed,
    /// Everything was replaced, as at the start and after an error.
    Replaced,
}

/// Keeps the rules of this node as services and endpoints want them.
#[derive(Debug)]
pub struct Proxier {
    cluster: Cluster,
    /// What the kernel has; unknown at the start and after an error.
    applied: Option<Ruleset>,
    metrics: Metrics,
}

impl Proxier {
    /// A proxier that does not know yet what the kernel has. Rules of a predecessor stay until the first
    /// synchronisation replaces them.
    pub fn new(cluster: Cluster, metrics: Metrics) -> Self {
        Self { cluster, applied: None, metrics }
    }

    /// Sets the kernel parameters that services at the node's own addresses need.
    pub fn prepare() -> Result<(), Error> {
        // 127.0.0.1:nodePort; packets from outside to 127.0.0.0/8 are dropped by a rule instead.
        set("net/ipv4/conf/all/route_localnet", "1")?;
        set("net/ipv4/ip_forward", "1")
    }

    /// Brings the rules to what the snapshot wants.
    pub async fn sync(&mut self, snapshot: &Snapshot) -> Result<Outcome, Error> {
        let started = Instant::now();
        let wanted = desired(snapshot, &self.cluster);
        let (script, outcome, check_flows) = match self.applied.take() {
            Some(applied) => {
                let changes = diff(&applied, &wanted);
                if changes.is_empty() {
                    self.applied = Some(applied);
                    return Ok(Outcome::Unchanged);
                }
                let script = script::update(&changes, wanted.pod_range);
                (script, Outcome::Changed, touches_udp(&changes))
            }
            None => (script::replace(&wanted), Outcome::Replaced, true),
        };
        // `applied` stays unknown until the transaction has succeeded, also when this future is dropped.
        let loaded = nft::load(&script).await;
        self.metrics.synced(outcome, started.elapsed(), loaded.is_ok());
        loaded?;
        if check_flows {
            delete_stale_flows(Served::new(&wanted)).await;
        }
        self.applied = Some(wanted);
        Ok(outcome)
    }

    /// Forgets what the kernel has, so that the next synchronisation replaces everything and repairs what
    /// somebody else may have changed.
    pub fn forget(&mut self) {
        self.applied = None;
    }

    /// Removes all rules: services are no longer reachable from this node.
    pub async fn cleanup() -> Result<(), Error> {
        Ok(nft::load(&script::remove()).await?)
    }
}

/// Failing to delete them is no reason to undo the rules: only flows that exist already suffer.
async fn delete_stale_flows(served: Served) {
    match tokio::task::spawn_blocking(move || flows::delete_stale(&served)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(deleted)) => tracing::info!(deleted, "deleted UDP flows to former endpoints"),
        Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "stale UDP flows remain"),
        Err(error) => tracing::error!(%error, "deleting stale UDP flows panicked"),
    }
}

fn set(name: &'static str, value: &str) -> Result<(), Error> {
    let path = std::path::Path::new("/proc/sys").join(name);
    if std::fs::read_to_string(&path).is_ok_and(|now| now.trim() == value) {
        return Ok(());
    }
    std::fs::write(&path, value).map_err(|source| Error::Sysctl { name, source })
}
