//! Ending a cluster and removing every trace of it, from whatever state it was left in.

use std::time::Duration;

use crate::plan::Plan;
use crate::process::Record;
use crate::{Cluster, Error, Progress, Result, files, leftovers, network, nodes};

/// How long a component may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);
const KILL_LIMIT: Duration = Duration::from_secs(20);
const CGROUP_LIMIT: Duration = Duration::from_secs(5);

/// How a cluster is ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Down {
    /// Remove the cluster's data, too.
    pub purge: bool,
}

impl Cluster {
    /// Ends the cluster: what runs first, then what it ran in. Works after a crash or a reboot, and when repeated.
    pub async fn down(&self, down: Down, progress: Progress<'_>) -> Result<()> {
        let lock = self.lock()?;
        let mut clock = std::time::Instant::now();
        let mut step = |what: &str| {
            progress(what, clock.elapsed());
            clock = std::time::Instant::now();
        };
        if let Some(record) = self.supervisor()? {
            record.identity.stop(GRACE).await;
        }
        self.stop_processes().await?;
        step("components stopped");
        leftovers::kill_all(&self.paths, &self.spec, KILL_LIMIT).await;
        leftovers::remove_cgroups(&self.spec, CGROUP_LIMIT).await;
        step("containers ended");
        for node in self.spec.nodes() {
            nodes::remove(&self.paths, &node).await?;
        }
        network::remove(&self.spec.network).await?;
        nodes::unmount(self.paths.root())?;
        step("network removed");
        files::remove(&self.paths.run())?;
        files::remove(&self.paths.namespaces())?;
        leftovers::verify(&self.paths, &self.spec).await?;
        if down.purge {
            files::remove(self.paths.root())?;
            step("data removed");
        }
        drop(lock);
        Ok(())
    }

    /// Stops what the plan started, in the reverse order: first the nodes' agents, last the store.
    async fn stop_processes(&self) -> Result<()> {
        let Ok(Some(plan)) = files::read_json::<Plan>(&self.paths.plan()) else {
            // Nothing was started, or a crash has damaged the file: what runs is found by its marks.
            return Ok(());
        };
        let mut names: Vec<&str> = plan.processes.iter().map(|process| process.name.as_str()).collect();
        names.reverse();
        for wave in waves(&names) {
            let stops = wave.iter().map(|name| async {
                if let Some(record) = Record::running(&self.paths.pid_file(name))? {
                    record.identity.stop(GRACE).await;
                }
                Ok::<_, Error>(())
            });
            futures::future::try_join_all(stops).await?;
        }
        Ok(())
    }
}

/// Groups of processes that can end at the same time: everything before the API server, it, and what it needs.
fn waves<'n>(names: &[&'n str]) -> Vec<Vec<&'n str>> {
    let api = names.iter().position(|name| *name == "apiserver").unwrap_or(names.len());
    let (clients, rest) = names.split_at(api);
    let (server, stores) = rest.split_at(rest.len().min(1));
    [clients, server, stores].into_iter().filter(|wave| !wave.is_empty()).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_end_before_the_api_server_and_it_before_its_store() {
        let names = ["kubelet", "scheduler", "apiserver", "containerd", "etcd"];
        assert_eq!(
            waves(&names),
            [vec!["kubelet", "scheduler"], vec!["apiserver"], vec!["containerd", "etcd"]]
        );
        assert_eq!(waves(&["a"]), [vec!["a"]]);
    }
}
