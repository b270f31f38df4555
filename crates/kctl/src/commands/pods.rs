//! The pod that a command is about: named, or one of those that an object runs.

use anyhow::{Context, bail};
use gantry_api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use gantry_api::core::v1::{Pod, Service};
use gantry_api::selector::LabelSelector;
use gantry_api::{Resource, meta};
use gantry_client::ListOptions;

use crate::names::one;
use crate::session::Session;

/// The name of the pod that `word` means: `NAME`, `pod/NAME`, or the first running one of `deployment/NAME`, ...
pub(super) async fn of(session: &Session, word: &str) -> anyhow::Result<String> {
    if !word.contains('/') {
        return Ok(word.to_owned());
    }
    let selection = one(word)?;
    let name = &selection.names[0];
    let namespace = session.namespace.as_str();
    let client = &session.client;
    let selector = match selection.kind.kind {
        "Pod" => return Ok(name.clone()),
        "Deployment" => {
            labels(client.api::<Deployment>(namespace).get(name).await?.spec.and_then(|s| s.selector))?
        }
        "ReplicaSet" => {
            labels(client.api::<ReplicaSet>(namespace).get(name).await?.spec.and_then(|s| s.selector))?
        }
        "StatefulSet" => {
            labels(client.api::<StatefulSet>(namespace).get(name).await?.spec.and_then(|s| s.selector))?
        }
        "DaemonSet" => {
            labels(client.api::<DaemonSet>(namespace).get(name).await?.spec.and_then(|s| s.selector))?
        }
        "Service" => {
            let spec = client.api::<Service>(namespace).get(name).await?.spec.unwrap_or_default();
            LabelSelector::from_map(&spec.selector)
        }
        other => bail!("a {other} runs no pods; name a pod"),
    };
    let mut pods = client.api::<Pod>(namespace).list(&ListOptions::default()).await?.items;
    pods.retain(|pod| selector.matches(&pod.meta().labels));
    let phase = |pod: &Pod| pod.status.as_ref().map(|status| status.phase.clone()).unwrap_or_default();
    pods.sort_by_key(|pod| (phase(pod) != "Running", pod.name().to_owned()));
    let pod = pods.first().with_context(|| format!("{word} has no pods"))?;
    if pods.len() > 1 {
        eprintln!("Found {} pods, using pod/{}", pods.len(), pod.name());
    }
    Ok(pod.name().to_owned())
}

fn labels(selector: Option<meta::v1::LabelSelector>) -> anyhow::Result<LabelSelector> {
    Ok(LabelSelector::from_meta(selector.as_ref())?)
}
