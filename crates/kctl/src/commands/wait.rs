//! `kctl wait`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args as ClapArgs;
use gantry_api::{Kind, Object};
use gantry_client::{DynamicApi, ListOptions, WatchEvent};
use serde_json::Value;

use crate::names::qualified;
use crate::path::Path;
use crate::session::{Session, Target};

/// A watch that ended at once is not begun anew at once.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until objects are as wanted.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// TYPE NAME..., TYPE/NAME..., or TYPE with --selector or --all
    #[arg(required = true, value_name = "TYPE")]
    what: Vec<String>,

    /// What to wait for: condition=NAME[=VALUE], jsonpath={.PATH}[=VALUE], create or delete
    #[arg(long = "for", value_name = "WHAT")]
    wanted: Wanted,

    /// Label selector, such as `app=web`
    #[arg(short = 'l', long)]
    selector: Option<String>,

    /// All objects of the type in the namespace
    #[arg(long)]
    all: bool,

    /// Seconds to wait at most, for all objects together
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// What an object must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Condition { name: String, value: String },
    Path { path: Path, value: Option<String> },
    Created,
    Deleted,
}

impl std::str::FromStr for Wanted {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if let Some(condition) = text.strip_prefix("condition=") {
            let (name, value) = condition.split_once('=').unwrap_or((condition, "True"));
            return Ok(Self::Condition { name: name.to_owned(), value: value.to_owned() });
        }
        if let Some(place) = text.strip_prefix("jsonpath=") {
            // A value may have an equals sign in it, a path has none.
            let (path, value) =
                place.split_once('=').map_or((place, None), |(path, value)| (path, Some(value.to_owned())));
            return Ok(Self::Path { path: Path::parse(path)?, value });
        }
        match text {
            "create" => Ok(Self::Created),
            "delete" => Ok(Self::Deleted),
            _ => bail!("must be condition=NAME[=VALUE], jsonpath={{.PATH}}[=VALUE], create or delete"),
        }
    }
}

impl Wanted {
    /// Whether an object, or the lack of one, is what is wanted.
    fn is_met(&self, object: Option<&Value>) -> bool {
        match (self, object) {
            (Self::Deleted, object) => object.is_none(),
            (Self::Created, object) => object.is_some(),
            (_, None) => false,
            (Self::Condition { name, value }, Some(object)) => {
                let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
                let is = |condition: &Value, field: &str, text: &str| {
                    condition[field].as_str().is_some_and(|found| found.eq_ignore_ascii_case(text))
                };
                conditions.into_iter().flatten().any(|c| is(c, "type", name) && is(c, "status", value))
            }
            (Self::Path { path, value }, Some(object)) => match (path.find(object), value) {
                (None | Some(Value::Null), _) => false,
                (Some(_), None) => true,
                (Some(Value::String(found)), Some(value)) => found == value,
                (Some(found), Some(value)) => *value == *found.to_string(),
            },
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let limit = Duration::from_secs(args.timeout);
        match tokio::time::timeout(limit, args.wait(&session)).await {
            Ok(done) => done.map(|()| ExitCode::SUCCESS),
            Err(_) => bail!("timed out after {} s", args.timeout),
        }
    })
}

impl Args {
    async fn wait(&self, session: &Session) -> anyhow::Result<()> {
        for selection in session.selections(&self.what).await? {
            let api = session.api(selection.kind, false);
            let names = selection.names(&api, self.selector.as_deref(), self.all).await?;
            if names.is_empty() && self.wanted != Wanted::Deleted {
                bail!("no {} are selected", selection.kind.plural);
            }
            for name in names {
                self.one(&api, selection.kind, &name).await?;
                println!("{} {}", qualified(selection.kind, &name), self.outcome());
            }
        }
        Ok(())
    }

    fn outcome(&self) -> &'static str {
        match self.wanted {
            Wanted::Created => "created",
            Wanted::Deleted => "deleted",
            Wanted::Condition { .. } | Wanted::Path { .. } => "condition met",
        }
    }

    /// Waits for one object: looks, and then follows its changes from there on.
    async fn one(&self, api: &DynamicApi, kind: &'static Kind, name: &str) -> anyhow::Result<()> {
        loop {
            let mut options =
                ListOptions { field_selector: format!("metadata.name={name}"), ..ListOptions::default() };
            let list = api.list(&options).await?;
            let object = list.items.first().map(|object| object.to_value()).transpose()?;
            if self.wanted.is_met(object.as_ref()) {
                return Ok(());
            }
            if object.is_none() && self.wanted != Wanted::Created {
                bail!("{} does not exist", qualified(kind, name));
            }
            options.resource_version = list.metadata.resource_version;
            let mut watch = api.watch(&options).await?;
            while let Some(event) = watch.next().await {
                // The revision may be forgotten by now: look again.
                let Ok(event) = event else { break };
                let value = |object: Box<dyn Object>| object.to_value().context("an object is no JSON");
                let object = match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => Some(value(object)?),
                    WatchEvent::Deleted(_) => None,
                    WatchEvent::Bookmark { .. } => continue,
                };
                if self.wanted.is_met(object.as_ref()) {
                    return Ok(());
                }
                if object.is_none() && self.wanted != Wanted::Created {
                    bail!("{} was deleted", qualified(kind, name));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Wanted;

    #[test]
    fn what_is_wanted_is_recognised() {
        let object = json!({"spec": {"size": 3, "name": "a=b"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Stuck", "status": "False"}]}});
        let met = |text: &str| text.parse::<Wanted>().unwrap().is_met(Some(&object));
        for wanted in [
            "condition=Ready",
            "condition=ready=true",
            "condition=Stuck=False",
            "jsonpath={.spec.size}=3",
            "jsonpath=.spec.name=a=b",
            "jsonpath={.spec.size}",
            "create",
        ] {
            assert!(met(wanted), "{wanted}");
        }
        for other in [
            "condition=Stuck",
            "condition=None",
            "jsonpath={.spec.size}=4",
            "jsonpath={.spec.none}",
            "delete",
        ] {
            assert!(!met(other), "{other}");
        }
        assert!(Wanted::Deleted.is_met(None) && !Wanted::Created.is_met(None));
        for wrong in ["", "ready", "jsonpath=spec", "condition"] {
            assert!(wrong.parse::<Wanted>().is_err(), "{wrong}");
        }
    }
}
