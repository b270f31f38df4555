//! `kctl why`: why a pod is not running.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args as ClapArgs;
use gantry_api::Resource;
use gantry_api::core::v1::{ContainerStatus, Node, Pod};
use gantry_client::ListOptions;
use gantry_scheduler::schedule::explain;
use gantry_scheduler::snapshot::Snapshot;

use super::describe::{event_table, events};
use super::pods;
use crate::output;
use crate::session::{Session, Target};

/// Says why a pod is not running: for a pod that waits, what each node has to say; for others, what its containers
/// are at and what happened.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// pod/NAME, or TYPE/NAME of what runs pods
    #[arg(value_name = "POD")]
    what: String,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let name = pods::of(&session, &args.what).await?;
        let pod = session.client.api::<Pod>(&session.namespace).get(&name).await?;
        let mut text = summary(&pod);
        if node_of(&pod).is_empty() && pod.meta().deletion_timestamp.is_none() {
            text.push_str(&nodes(&session, &pod).await?);
        }
        text.push_str(&event_table(&events(&session, &pod).await?, jiff::Timestamp::now()));
        output::print(&text);
        Ok(ExitCode::SUCCESS)
    })
}

fn node_of(pod: &Pod) -> &str {
    pod.spec.as_ref().map_or("", |spec| spec.node_name.as_str())
}

/// What each node has to say, with the same filters as the scheduler's.
async fn nodes(session: &Session, pod: &Pod) -> anyhow::Result<String> {
    let nodes = session.client.api::<Node>("").list(&ListOptions::default()).await?.items;
    let pods = session.client.api::<Pod>("").list(&ListOptions::default()).await?.items;
    if nodes.is_empty() {
        return Ok("The cluster has no nodes.\n".to_owned());
    }
    let snapshot = Snapshot::new(&nodes, pods.into_iter().map(|pod| Arc::new(pod.into())));
    let mut out = "Nodes:\n".to_owned();
    for verdict in explain(&pod.clone().into(), &snapshot) {
        if verdict.rejections.is_empty() {
            out.push_str(&format!("  {}: can take the pod\n", verdict.node));
        }
        for rejection in verdict.rejections {
            out.push_str(&format!("  {}: {} ({})\n", verdict.node, rejection.reason, rejection.detail));
        }
    }
    Ok(out)
}

fn summary(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let mut out = format!("pod/{} in {}: {}\n", pod.name(), pod.namespace(), phase(pod));
    if !node_of(pod).is_empty() {
        out.push_str(&format!("Node: {}\n", node_of(pod)));
    }
    if !status.message.is_empty() {
        out.push_str(&format!("{}: {}\n", status.reason, status.message));
    }
    for condition in status.conditions.iter().filter(|condition| condition.status != "True") {
        let because = [condition.reason.as_str(), condition.message.as_str()];
        let because: Vec<&str> = because.into_iter().filter(|text| !text.is_empty()).collect();
        out.push_str(&format!("Not {}: {}\n", condition.r#type, because.join(": ")));
    }
    for container in status.init_container_statuses.iter().chain(&status.container_statuses) {
        out.push_str(&format!("Container {}: {}\n", container.name, container_state(container)));
    }
    out
}

fn phase(pod: &Pod) -> String {
    if pod.meta().deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    pod.status
        .as_ref()
        .map(|status| status.phase.clone())
        .filter(|phase| !phase.is_empty())
        .unwrap_or("Pending".into())
}

fn container_state(container: &ContainerStatus) -> String {
    let state = container.state.clone().unwrap_or_default();
    let mut text = if let Some(waiting) = state.waiting {
        format!("waiting: {} {}", waiting.reason, waiting.message)
    } else if let Some(ended) = state.terminated {
        format!("ended with code {}: {} {}", ended.exit_code, ended.reason, ended.message)
    } else if state.running.is_some() {
        if container.ready { "running and ready".to_owned() } else { "running, not ready".to_owned() }
    } else {
        "not started".to_owned()
    };
    text.truncate(text.trim_end().len());
    if let Some(last) = container.last_state.as_ref().and_then(|last| last.terminated.as_ref()) {
        text.push_str(&format!("; before that it ended with code {}: {}", last.exit_code, last.reason));
    }
    if container.restart_count > 0 {
        text.push_str(&format!("; {} restarts", container.restart_count));
    }
    text
}
