//! `kctl rollout`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use gantry_api::apps::v1::{Deployment, ReplicaSet};
use gantry_api::{Resource, meta};
use gantry_client::{Api, ListOptions, PatchType, WatchEvent};
use serde_json::json;

use crate::names::{one, qualified};
use crate::rollout::{Progress, progress};
use crate::session::{Session, Target};

/// The annotation with a ReplicaSet's revision.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The label that tells the pods of one revision from those of others.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Follows and steers the rollout of a Deployment.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Wait until a rollout is complete
    Status {
        #[command(flatten)]
        on: On,
        /// Seconds to wait at most; 0 for no limit
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        timeout: u64,
        /// Whether to wait at all
        #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set)]
        watch: bool,
    },
    /// Go back to an earlier revision
    Undo {
        #[command(flatten)]
        on: On,
        /// The revision; 0 for the last one
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        to_revision: i64,
    },
    /// Replace all pods by new ones of the same revision
    Restart {
        #[command(flatten)]
        on: On,
    },
    /// Show the revisions
    History {
        #[command(flatten)]
        on: On,
    },
}

#[derive(Debug, ClapArgs)]
struct On {
    #[command(flatten)]
    target: Target,
    /// deployment/NAME
    #[arg(required = true, value_name = "TYPE/NAME", num_args = 1..=2)]
    what: Vec<String>,
}

impl On {
    fn name(&self) -> anyhow::Result<String> {
        let selection = one(&self.what.join("/"))?;
        if selection.kind.kind != "Deployment" {
            bail!("{} have no rollout that kctl can follow; deployments do", selection.kind.plural);
        }
        Ok(selection.names[0].clone())
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Status { on, timeout, watch } => on.target.clone().run(|session| async move {
            let name = on.name()?;
            let follow = status(&session, &name, watch);
            if timeout == 0 {
                return follow.await;
            }
            match tokio::time::timeout(Duration::from_secs(timeout), follow).await {
                Ok(outcome) => outcome,
                Err(_) => bail!("timed out after {timeout} s waiting for the rollout of deployment {name:?}"),
            }
        }),
        Action::Undo { on, to_revision } => on.target.clone().run(|session| async move {
            let name = on.name()?;
            let revision = undo(&session, &name, to_revision).await?;
            println!("{} rolled back to revision {revision}", qualified(Deployment::kind(), &name));
            Ok(ExitCode::SUCCESS)
        }),
        Action::Restart { on } => on.target.clone().run(|session| async move {
            let name = on.name()?;
            let annotation = json!({"kubectl.kubernetes.io/restartedAt": jiff::Timestamp::now().to_string()});
            let patch = json!({"spec": {"template": {"metadata": {"annotations": annotation}}}});
            session
                .client
                .api::<Deployment>(&session.namespace)
                .patch(&name, PatchType::StrategicMerge, &patch)
                .await?;
            println!("{} restarted", qualified(Deployment::kind(), &name));
            Ok(ExitCode::SUCCESS)
        }),
        Action::History { on } => on.target.clone().run(|session| async move {
            let deployment = session.client.api::<Deployment>(&session.namespace).get(&on.name()?).await?;
            println!("REVISION  REPLICAS  IMAGES");
            for (revision, set) in revisions(&session, &deployment).await? {
                let spec = set.spec.unwrap_or_default();
                let containers =
                    spec.template.and_then(|t| t.spec).map(|spec| spec.containers).unwrap_or_default();
                let images: Vec<String> = containers.into_iter().map(|container| container.image).collect();
                println!("{revision:<10}{:<10}{}", spec.replicas.unwrap_or(1), images.join(","));
            }
            Ok(ExitCode::SUCCESS)
        }),
    }
}

async fn status(session: &Session, name: &str, watch: bool) -> anyhow::Result<ExitCode> {
    let api: Api<Deployment> = session.client.api(&session.namespace);
    let mut deployment = api.get(name).await?;
    let mut said = String::new();
    loop {
        let mut options = ListOptions {
            field_selector: format!("metadata.name={name}"),
            resource_version: deployment.meta().resource_version.clone(),
            ..ListOptions::default()
        };
        let mut changes = None;
        loop {
            match progress(&deployment) {
                Progress::Complete(message) => {
                    println!("{message}");
                    return Ok(ExitCode::SUCCESS);
                }
                Progress::Failed(message) => bail!("{message}"),
                Progress::Waiting(message) => {
                    if message != said {
                        println!("{message}");
                        said = message;
                    }
                    if !watch {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
            }
            let stream = match &mut changes {
                Some(stream) => stream,
                None => changes.insert(api.watch(&options).await?),
            };
            match stream.next().await {
                Some(Ok(WatchEvent::Added(new) | WatchEvent::Modified(new))) => deployment = new,
                Some(Ok(WatchEvent::Deleted(_))) => bail!("deployment {name:?} was deleted"),
                Some(Ok(WatchEvent::Bookmark { revision, .. })) => {
                    options.resource_version = revision.to_string();
                }
                // The stream broke or ended: what was missed is read anew.
                Some(Err(error)) if !error.is_transient() && !error.is_gone() => return Err(error.into()),
                Some(Err(_)) | None => break,
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        deployment = api.get(name).await?;
    }
}

/// The ReplicaSets of a deployment by revision, the oldest first.
async fn revisions(session: &Session, deployment: &Deployment) -> anyhow::Result<Vec<(i64, ReplicaSet)>> {
    let sets = session.client.api::<ReplicaSet>(&session.namespace).list(&ListOptions::default()).await?;
    let uid = &deployment.meta().uid;
    let mut revisions: Vec<(i64, ReplicaSet)> = sets
        .items
        .into_iter()
        .filter(|set| gantry_client::is_controlled_by(set.meta(), uid))
        .filter_map(|set| Some((set.meta().annotations.get(REVISION)?.parse().ok()?, set)))
        .collect();
    revisions.sort_by_key(|(revision, _)| *revision);
    Ok(revisions)
}

async fn undo(session: &Session, name: &str, to: i64) -> anyhow::Result<i64> {
    let api: Api<Deployment> = session.client.api(&session.namespace);
    let deployment = api.get(name).await?;
    if deployment.spec.as_ref().is_some_and(|spec| spec.paused) {
        bail!("deployment {name:?} is paused; resume it before it is rolled back");
    }
    let revisions = revisions(session, &deployment).await?;
    let wanted = match to {
        // The last one is the present one.
        0 => revisions
            .iter()
            .rev()
            .nth(1)
            .with_context(|| format!("no rollout history found for deployment {name:?}"))?,
        _ => revisions
            .iter()
            .find(|(revision, _)| *revision == to)
            .with_context(|| format!("unable to find specified revision {to} in history"))?,
    };
    let template = wanted
        .1
        .spec
        .as_ref()
        .and_then(|spec| spec.template.clone())
        .context("the revision has no template")?;
    let template = without_hash(template);
    let mut value = serde_json::to_value(&template)?;
    // The whole template is replaced, so that nothing of the present one is left.
    value["$patch"] = "replace".into();
    let patch = json!({
        "metadata": {"resourceVersion": deployment.meta().resource_version},
        "spec": {"template": value}
    });
    api.patch(name, PatchType::StrategicMerge, &patch).await?;
    Ok(wanted.0)
}

fn without_hash(
    mut template: gantry_api::core::v1::PodTemplateSpec,
) -> gantry_api::core::v1::PodTemplateSpec {
    let metadata: Option<&mut meta::v1::ObjectMeta> = template.metadata.as_mut();
    if let Some(metadata) = metadata {
        metadata.labels.remove(TEMPLATE_HASH);
    }
    template
}
