//! Giving back what a pod had.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

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
    for id in containers.into_iter().flatten() {
        host.runtime.remove_container(id).await.map_err(|error| error.to_string())?;
    }
    disconnect(host, pod).await?;
    host.sandboxes.destroy(&pod.uid).await.map_err(|error| chain(&error))?;
    let (owned, cgroups, spec, uid) = (paths.clone(), host.cgroups.clone(), spec.cloned(), pod.uid.clone());
    let work = tokio::task::spawn_blocking(move || {
        setup::remove(&owned).map_err(|error| error.to_string())?;
        let Some(spec) = spec else { return Ok(()) };
        cgroups.remove(&spec, &uid).map_err(|error| format!("cannot remove the pod's cgroup: {error}"))
    });
    work.await.map_err(|error| error.to_string())??;
    if containers.is_some() {
        remove_dir(paths.root()).await?;
        remove_dir(paths.logs()).await?;
    }
    Ok(())
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
    network.teardown(pod, None).await.map_err(|error| chain(&error))
}

async fn remove_dir(path: &Path) -> Result<(), String> {
    match tokio::fs::remove_dir_all(path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}
