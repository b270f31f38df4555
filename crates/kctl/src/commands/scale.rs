//! `kctl scale`

use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;
use gantry_api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use gantry_api::autoscaling::v1::Scale;
use gantry_api::core::v1::ReplicationController;
use gantry_api::{Kind, Resource};
use gantry_client::Error;

use crate::names::qualified;
use crate::session::{Session, Target};

/// A write that met another is tried again this often.
const ATTEMPTS: usize = 5;

/// Sets how many pods something runs.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// TYPE NAME... or TYPE/NAME...
    #[arg(required = true, value_name = "TYPE")]
    what: Vec<String>,

    /// How many pods
    #[arg(long)]
    replicas: i32,

    /// Do so only where there are this many now
    #[arg(long)]
    current_replicas: Option<i32>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        for selection in session.selections(&args.what).await? {
            if selection.names.is_empty() {
                bail!("name what to scale, such as `deployment/web`");
            }
            for name in &selection.names {
                scale(&session, selection.kind, name, &args).await?;
                println!("{} scaled", qualified(selection.kind, name));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn scale(session: &Session, kind: &'static Kind, name: &str, args: &Args) -> anyhow::Result<()> {
    match kind.kind {
        "Deployment" => set::<Deployment>(session, name, args).await,
        "ReplicaSet" => set::<ReplicaSet>(session, name, args).await,
        "StatefulSet" => set::<StatefulSet>(session, name, args).await,
        "ReplicationController" => set::<ReplicationController>(session, name, args).await,
        other => bail!("a {other} has no number of replicas"),
    }
}

async fn set<T: Resource>(session: &Session, name: &str, args: &Args) -> anyhow::Result<()> {
    let api = session.client.api::<T>(&session.namespace);
    let mut outcome: Result<Scale, Error> = Err(Error::Closed);
    for _ in 0..ATTEMPTS {
        let mut scale = api.get_scale(name).await?;
        let spec = scale.spec.get_or_insert_default();
        if let Some(expected) = args.current_replicas.filter(|expected| *expected != spec.replicas) {
            bail!("Expected replicas to be {expected}, was {}", spec.replicas);
        }
        spec.replicas = args.replicas;
        outcome = api.update_scale(name, &scale).await;
        if !outcome.as_ref().is_err_and(Error::is_conflict) {
            break;
        }
    }
    outcome?;
    Ok(())
}
