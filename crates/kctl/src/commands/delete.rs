//! `kctl delete`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args as ClapArgs;
use gantry_api::Kind;
use gantry_client::{DeleteOptions, DynamicApi};

use crate::manifest::Files;
use crate::names::qualified;
use crate::session::{Session, Target};

/// How often is looked whether an object is gone.
const POLL: Duration = Duration::from_millis(50);

/// Deletes objects, by name, by label or as files name them, and waits until they are gone.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// TYPE NAME..., TYPE/NAME..., or TYPE with --selector or --all
    #[arg(value_name = "TYPE")]
    what: Vec<String>,

    #[command(flatten)]
    files: Files,

    /// Label selector, such as `app=web`
    #[arg(short = 'l', long)]
    selector: Option<String>,

    /// All objects of the type in the namespace
    #[arg(long)]
    all: bool,

    /// Seconds that pods get to end by themselves
    #[arg(long, value_name = "SECONDS")]
    grace_period: Option<i64>,

    /// Forget pods at once, without waiting for their node
    #[arg(long)]
    force: bool,

    /// What happens to the objects that it owns
    #[arg(long, value_name = "background|foreground|orphan", default_value = "background")]
    cascade: Cascade,

    /// Whether to wait until the objects are gone
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    wait: bool,

    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,

    /// Succeed where an object does not exist
    #[arg(long)]
    ignore_not_found: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Cascade {
    Background,
    Foreground,
    Orphan,
}

struct Doomed {
    kind: &'static Kind,
    api: DynamicApi,
    name: String,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let mut code = ExitCode::SUCCESS;
        let mut waiting = Vec::new();
        for doomed in args.doomed(&session).await? {
            match doomed.api.delete(&doomed.name, &args.options()).await {
                Ok(object) => {
                    let forced = if args.force { "force deleted" } else { "deleted" };
                    println!("{} {forced}", qualified(doomed.kind, &doomed.name));
                    waiting.push((doomed, object.meta().uid.clone()));
                }
                Err(error) if error.is_not_found() && args.ignore_not_found => {}
                Err(error) => {
                    eprintln!("error: {error}");
                    code = ExitCode::FAILURE;
                }
            }
        }
        if args.wait {
            let limit = Duration::from_secs(args.timeout);
            let Ok(gone) = tokio::time::timeout(limit, gone(waiting)).await else {
                bail!("the objects are not gone after {} s", args.timeout);
            };
            gone?;
        }
        Ok(code)
    })
}

async fn gone(waiting: Vec<(Doomed, String)>) -> anyhow::Result<()> {
    for (doomed, uid) in waiting {
        loop {
            match doomed.api.get(&doomed.name).await {
                Ok(object) if object.meta().uid == uid => tokio::time::sleep(POLL).await,
                Ok(_) => break,
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

impl Args {
    fn options(&self) -> DeleteOptions {
        let policy = match self.cascade {
            Cascade::Background => "Background",
            Cascade::Foreground => "Foreground",
            Cascade::Orphan => "Orphan",
        };
        DeleteOptions {
            grace_period_seconds: if self.force { Some(0) } else { self.grace_period },
            propagation_policy: Some(policy.to_owned()),
            ..DeleteOptions::default()
        }
    }

    async fn doomed(&self, session: &Session) -> anyhow::Result<Vec<Doomed>> {
        let mut all = Vec::new();
        if !self.files.filenames.is_empty() {
            if !self.what.is_empty() {
                bail!("name objects either by -f or by type and name");
            }
            // In reverse, so that what was made last goes first.
            let manifests = session.manifests(&self.files, self.files.documents()?).await?;
            for manifest in manifests.into_iter().rev() {
                let meta = manifest.object.meta();
                let mut session = session.clone();
                if !meta.namespace.is_empty() {
                    session.namespace.clone_from(&meta.namespace);
                }
                let api = session.api(manifest.kind, false);
                all.push(Doomed { kind: manifest.kind, api, name: meta.name.clone() });
            }
            return Ok(all);
        }
        for selection in session.selections(&self.what).await? {
            let api = session.api(selection.kind, false);
            let names = selection.names(&api, self.selector.as_deref(), self.all).await?;
            all.extend(names.into_iter().map(|name| Doomed { kind: selection.kind, api: api.clone(), name }));
        }
        Ok(all)
    }
}
