//! `kctl apply`

use std::process::ExitCode;

use anyhow::Context;
use clap::Args as ClapArgs;
use gantry_api::{Object, patch};
use gantry_client::{CreateOptions, PatchOptions, PatchType};
use serde_json::Value;

use crate::manifest::{Files, LAST_APPLIED, Manifest};
use crate::names::qualified;
use crate::session::{Session, Target};

/// Makes objects be as files say: creates those that are missing, changes those that differ.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    files: Files,

    /// Have everything checked by the server, and change nothing
    #[arg(long, value_name = "none|server", default_value = "none")]
    dry_run: DryRun,
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DryRun {
    None,
    Server,
}

impl DryRun {
    pub(crate) fn parameter(self) -> Vec<String> {
        if self == Self::Server { vec!["All".to_owned()] } else { Vec::new() }
    }

    pub(crate) fn suffix(self) -> &'static str {
        if self == Self::Server { " (server dry run)" } else { "" }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let mut code = ExitCode::SUCCESS;
        // One object that is refused must not keep the others away.
        for manifest in args.files.read()? {
            match apply(&session, &manifest, args.dry_run).await {
                Ok(outcome) => {
                    let name = qualified(manifest.kind, &manifest.object.meta().name);
                    println!("{name} {outcome}{}", args.dry_run.suffix());
                }
                Err(error) => {
                    eprintln!("error: {}: {error:#}", manifest.source);
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    })
}

/// Applies one manifest; the outcome in a word.
pub(crate) async fn apply(
    session: &Session,
    manifest: &Manifest,
    dry_run: DryRun,
) -> anyhow::Result<&'static str> {
    let meta = manifest.object.meta();
    let namespace =
        if meta.namespace.is_empty() { session.namespace.clone() } else { meta.namespace.clone() };
    let mut session = session.clone();
    session.namespace = namespace;
    let api = session.api(manifest.kind, false);
    let live = match meta.name.as_str() {
        // The server says what is missing.
        "" => None,
        name => match api.get(name).await {
            Ok(live) => Some(live),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        },
    };
    let applied = serde_json::to_string(&manifest.value)? + "\n";
    let Some(live) = live else {
        let mut object = manifest.object.clone_object();
        object.meta_mut().annotations.insert(LAST_APPLIED.to_owned(), applied);
        let options = CreateOptions { dry_run: dry_run.parameter(), ..CreateOptions::default() };
        api.create(object.as_ref(), &options).await?;
        return Ok("created");
    };
    let patch = changes(manifest, live.as_ref(), applied)?;
    let options = PatchOptions { dry_run: dry_run.parameter(), ..PatchOptions::default() };
    let changed = api.patch(&meta.name, "", PatchType::StrategicMerge, &patch, &options).await?;
    Ok(if changed.meta().resource_version == live.meta().resource_version {
        "unchanged"
    } else {
        "configured"
    })
}

/// The patch that takes the live object to what the manifest says.
fn changes(manifest: &Manifest, live: &dyn Object, applied: String) -> anyhow::Result<Value> {
    let last: Value = match live.meta().annotations.get(LAST_APPLIED) {
        Some(text) => {
            serde_json::from_str(text).with_context(|| format!("annotation {LAST_APPLIED} is no JSON"))?
        }
        None => Value::Null,
    };
    // What the server fills in on its own is not the manifest's to change.
    let mut wanted = manifest.value.clone();
    if let Some(fields) = wanted.as_object_mut() {
        fields.remove("status");
    }
    let mut patch = patch::three_way(manifest.kind.message, &last, &wanted);
    let annotations = patch
        .as_object_mut()
        .and_then(|patch| {
            patch.entry("metadata").or_insert_with(|| Value::Object(Default::default())).as_object_mut()
        })
        .map(|metadata| metadata.entry("annotations").or_insert(Value::Null))
        .context("metadata: must be an object")?;
    if !annotations.is_object() {
        *annotations = Value::Object(Default::default());
    }
    annotations[LAST_APPLIED] = applied.into();
    Ok(patch)
}
