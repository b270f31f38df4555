//! `kctl apply`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args as ClapArgs;
use gantry_api::{Object, patch};
use gantry_client::{CreateOptions, PatchOptions, PatchType};
use serde_json::Value;

use crate::catalog::Catalog;
use crate::manifest::{Document, Files, LAST_APPLIED, Manifest, Validation};
use crate::names::qualified;
use crate::session::{Session, Target};

/// How long a resource may take to be served once it is defined.
const ESTABLISHED: Duration = Duration::from_secs(10);
/// What the server may well change of every object.
const OWN: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

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
        let (documents, later) = divide(&session, args.files.documents()?).await?;
        let manifests = session.manifests(&args.files, documents).await?;
        let mut code = args.all(&session, manifests).await;
        if !later.is_empty() && args.dry_run == DryRun::Server {
            eprintln!("note: what the definitions in these files define is not checked in a dry run");
        } else if !later.is_empty() {
            let kinds: Vec<(&str, &str)> = later
                .iter()
                .map(|document| (document.api_version.as_str(), document.kind.as_str()))
                .collect();
            let catalog = Catalog::with(&session.client, &kinds, ESTABLISHED).await?;
            let of_new = args.all(&session, args.files.manifests(later, &catalog)?).await;
            code = if of_new == ExitCode::SUCCESS { code } else { of_new };
        }
        Ok(code)
    })
}

/// Divides documents into those of kinds that are served, and those of kinds that only others of them define.
async fn divide(
    session: &Session,
    documents: Vec<Document>,
) -> anyhow::Result<(Vec<Document>, Vec<Document>)> {
    let builtin = Catalog::builtin();
    if documents.iter().all(|document| document.kind_in(&builtin).is_some()) {
        return Ok((documents, Vec::new()));
    }
    let catalog = Catalog::of(&session.client).await?;
    let is_new = |document: &Document| {
        document.kind_in(&catalog).is_none() && documents.iter().any(|other| other.defines(document))
    };
    let new: Vec<bool> = documents.iter().map(is_new).collect();
    let mut parts = (Vec::new(), Vec::new());
    for (document, new) in documents.into_iter().zip(new) {
        if new { parts.1.push(document) } else { parts.0.push(document) }
    }
    Ok(parts)
}

impl Args {
    /// Applies manifests one after the other: one object that is refused must not keep the others away.
    async fn all(&self, session: &Session, manifests: Vec<Manifest>) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        for manifest in manifests {
            match apply(session, &manifest, self.dry_run).await {
                Ok((outcome, object)) => {
                    let name = qualified(manifest.kind, &object.meta().name);
                    if self.files.validate != Validation::Ignore {
                        warn_of_dropped(&manifest, object.as_ref());
                    }
                    println!("{name} {outcome}{}", self.dry_run.suffix());
                }
                Err(error) => {
                    eprintln!("error: {}: {error:#}", manifest.source);
                    code = ExitCode::FAILURE;
                }
            }
        }
        code
    }
}

/// Names the fields of a custom resource that the server did not take, as its schema does not have them.
fn warn_of_dropped(manifest: &Manifest, object: &dyn Object) {
    let Ok(taken) = object.to_value() else { return };
    if !manifest.kind.is_custom() {
        return;
    }
    let mut dropped = Vec::new();
    let fields = manifest.value.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, _)| !OWN.contains(&name.as_str())) {
        missing(name, value, taken.get(name), &mut dropped);
    }
    dropped.iter().for_each(|path| eprintln!("Warning: unknown field {path:?}"));
}

/// The paths of what is in `wanted` and not in `taken`.
fn missing(path: &str, wanted: &Value, taken: Option<&Value>, found: &mut Vec<String>) {
    match (wanted, taken) {
        (Value::Null, _) => {}
        (_, None) => found.push(path.to_owned()),
        (Value::Object(fields), Some(taken)) => {
            fields
                .iter()
                .for_each(|(name, value)| missing(&format!("{path}.{name}"), value, taken.get(name), found));
        }
        (Value::Array(items), Some(taken)) => {
            let items = items.iter().enumerate();
            items.for_each(|(i, value)| missing(&format!("{path}[{i}]"), value, taken.get(i), found));
        }
        _ => {}
    }
}

/// Applies one manifest; the outcome in a word, and the object.
pub(crate) async fn apply(
    session: &Session,
    manifest: &Manifest,
    dry_run: DryRun,
) -> anyhow::Result<(&'static str, Box<dyn Object>)> {
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
        return Ok(("created", api.create(object.as_ref(), &options).await?));
    };
    let patch = changes(manifest, live.as_ref(), applied)?;
    let options = PatchOptions { dry_run: dry_run.parameter(), ..PatchOptions::default() };
    // Of a custom resource nothing says how its lists are merged: they are replaced.
    let r#type = if manifest.kind.is_custom() { PatchType::Merge } else { PatchType::StrategicMerge };
    let changed = api.patch(&meta.name, "", r#type, &patch, &options).await?;
    let same = changed.meta().resource_version == live.meta().resource_version;
    Ok((if same { "unchanged" } else { "configured" }, changed))
}

/// The patch that takes the live object to what the manifest says.
fn changes(manifest: &Manifest, live: &dyn Object, applied: String) -> anyhow::Result<Value> {
    let last: Value = match live.meta().annotations.get(LAST_APPLIED) {
        Some(text) => {
            serde_json::from_str(text).with_context(|| format!("annotation {LAST_APPLIED} is no JSON"))?
        }
        None => Value::Null,
    };
    // What the server fills in on its own is not the manifest's to change. A custom resource without that subresource
    // has a status as any other field.
    let mut wanted = manifest.value.clone();
    if let Some(fields) = wanted.as_object_mut().filter(|_| !manifest.kind.is_custom()) {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn what_the_server_left_out_is_named() {
        let wanted = json!({"a": 1, "b": {"c": 2, "d": null}, "list": [{"x": 1, "y": 2}, 3]});
        let taken = json!({"a": 5, "b": {"e": 1}, "list": [{"x": 1}, 3], "more": true});
        let mut found = Vec::new();
        super::missing("spec", &wanted, Some(&taken), &mut found);
        assert_eq!(found, ["spec.b.c", "spec.list[0].y"]);
    }
}
