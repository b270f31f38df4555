//! Giving back what a pod had.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::future::try_join_all;
use gantry_api::core::v1::PodSpec;
use gantry_pod_network::PodRef;

use super::prepare::chain;
use crate::host::Host;
use crate::paths::PodPaths;
use crate::volumes::setup;

/// A node that has no network yet has given out no address in this life; one from a former life can wait so long.
const NETWORK_LIMIT: Duration = Duration::from_secs(30);

/// Takes down namespaces, network, volumes and cgroups; with `containers`, also these and all files.
pub(crate) async fn tear_down(
    host: &Host,
    pod: &PodRef,
    spec: Option<&PodSpec>,
    paths: &PodPaths,
    containers: Option<&BTreeSet<String>>,
) -> Result<(), String> {
    // Nothing runs any more, so nobody misses the network.
    let removals = containers
        .into_iter()
        .flatten()
        .map(|id| async move { host.runtime.remove_container(id).await.map_err(|error| error.to_string()) });
    let ports = async { host.host_ports.release(&pod.uid).await.map_err(|error| chain(&error)) };
    tokio::try_join!(try_join_all(removals), disconnect(host, pod), ports)?;
    let namespaces = async { host.sandboxes.destroy(&pod.uid).await.map_err(|error| chain(&error)) };
    let purge = containers.is_some();
    let (owned, cgroups, spec, uid) = (paths.clone(), host.cgroups.clone(), spec.cloned(), pod.uid.clone());
    let files = blocking(move || {
        setup::remove(&owned).map_err(|error| error.to_string())?;
        if purge {
            remove_dir(owned.root())?;
            remove_dir(owned.logs())?;
        }
        Ok(())
    });
    let cgroup = blocking(move || {
        let Some(spec) = spec else { return Ok(()) };
        cgroups.remove(&spec, &uid).map_err(|error| format!("cannot remove the pod's cgroup: {error}"))
    });
    tokio::try_join!(namespaces, files, cgroup).map(drop)
}

async fn blocking(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

async fn disconnect(host: &Host, pod: &PodRef) -> Result<(), String> {
    let known = host.sandboxes.list().map_err(|error| chain(&error))?;
    let mut network = host.network.clone();
    let current = network.borrow().clone();
    let network = match current {
        Some(network) => network,
        None if !known.contains(&pod.uid) => return Ok(()),
        None => match tokio::time::timeout(NETWORK_LIMIT, network.wait_for(Option::is_some)).await {
            Ok(Ok(network)) => match network.as_ref() {
                Some(network) => std::sync::Arc::clone(network),
                None => return Ok(()),
            },
            Ok(Err(_)) | Err(_) => return Err("the node's network is not there".to_owned()),
        },
    };
    // With the namespace still there, its end takes the interface along: that is cheaper than deleting it.
    let namespace = host.sandboxes.network(&pod.uid).map_err(|error| chain(&error))?;
    network.teardown(pod, namespace.as_deref()).await.map_err(|error| chain(&error))
}

fn remove_dir(path: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}
