//! What is left of pods that the API does not know any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gantry_container_runtime::ContainerStatus;
use gantry_pod_network::PodRef;

use crate::host::Host;
use crate::identity::Identity;
use crate::pod::actor::tear_down;

const SIGTERM: i32 = 15;
/// How long containers of a pod that is gone already get to end.
const GRACE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);
/// What could not be removed is tried again so often; the next start of the kubelet tries too.
const ATTEMPTS: u32 = 5;

/// The remains of one pod.
#[derive(Debug, Default)]
pub(super) struct Remains {
    namespace: String,
    name: String,
    containers: BTreeMap<String, bool>,
}

/// The remains of all pods that are not `live`: containers, namespaces, directories.
pub(super) fn find(
    host: &Host,
    containers: HashMap<String, Vec<ContainerStatus>>,
    live: &BTreeSet<String>,
) -> BTreeMap<String, Remains> {
    let mut found: BTreeMap<String, Remains> = BTreeMap::new();
    for (uid, statuses) in containers {
        for status in statuses {
            let Some(identity) = Identity::of(&status) else { continue };
            let remains = found.entry(uid.clone()).or_default();
            remains.namespace = identity.namespace;
            remains.name = identity.pod;
            remains.containers.insert(status.id, status.state.is_running());
        }
    }
    match host.sandboxes.list() {
        Ok(uids) => found.extend(absent(uids, &found)),
        Err(error) => tracing::warn!(%error, "sandboxes cannot be listed: old ones may be left"),
    }
    match host.cgroups.pods() {
        Ok(uids) => found.extend(absent(uids.into_iter().collect(), &found)),
        Err(error) => tracing::warn!(%error, "cgroups cannot be listed: old ones may be left"),
    }
    for dir in [host.paths.pods(), host.paths.secrets()] {
        let uids = names(&dir);
        found.extend(absent(uids, &found));
    }
    for entry in names(host.paths.logs()) {
        // namespace_name_uid
        let mut parts = entry.rsplitn(2, '_');
        let (Some(uid), Some(pod)) = (parts.next(), parts.next()) else { continue };
        let Some((namespace, name)) = pod.split_once('_') else { continue };
        let remains = found.entry(uid.to_owned()).or_default();
        remains.namespace = namespace.to_owned();
        remains.name = name.to_owned();
    }
    found.retain(|uid, _| !live.contains(uid));
    found
}

fn absent(uids: Vec<String>, found: &BTreeMap<String, Remains>) -> Vec<(String, Remains)> {
    uids.into_iter().filter(|uid| !found.contains_key(uid)).map(|uid| (uid, Remains::default())).collect()
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Removes them, side by side.
pub(super) async fn bury(host: Arc<Host>, orphans: BTreeMap<String, Remains>) {
    if !orphans.is_empty() {
        tracing::info!(count = orphans.len(), "removing what is left of pods that are gone");
    }
    join_all(orphans.iter().map(|(uid, remains)| bury_one(&host, uid, remains))).await;
}

async fn bury_one(host: &Host, uid: &str, remains: &Remains) {
    let running: Vec<&String> =
        remains.containers.iter().filter(|(_, running)| **running).map(|(id, _)| id).collect();
    for id in &running {
        if let Err(error) = host.runtime.kill(id, SIGTERM, false).await {
            tracing::debug!(%error, id, "an orphaned container took no signal");
        }
    }
    let deadline = tokio::time::Instant::now() + GRACE;
    for id in running {
        while tokio::time::Instant::now() < deadline {
            match host.runtime.container_status(id).await {
                Ok(status) if status.state.is_running() => tokio::time::sleep(POLL).await,
                Ok(_) | Err(_) => break,
            }
        }
    }
    let ids: BTreeSet<String> = remains.containers.keys().cloned().collect();
    let pod = PodRef::new(uid, remains.namespace.clone(), remains.name.clone());
    let paths = host.paths.pod(uid, &remains.namespace, &remains.name);
    for attempt in 1..=ATTEMPTS {
        match tear_down(host, &pod, None, &paths, Some(&ids)).await {
            Ok(()) => break,
            Err(error) => tracing::warn!(error, uid, attempt, "an orphaned pod could not be removed"),
        }
        tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
    }
    let (cgroups, owned) = (host.cgroups.clone(), uid.to_owned());
    match tokio::task::spawn_blocking(move || cgroups.purge(&owned)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, uid, "cgroups of a pod that is gone are left"),
        Err(error) => tracing::error!(%error, "removing cgroups broke off: this is a bug"),
    }
}
