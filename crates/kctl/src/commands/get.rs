//! `kctl get`

use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;
use gantry_api::Object;
use gantry_client::{DynamicEvent, ListOptions, WatchEvent};

use crate::names::{Selection, selections};
use crate::output::{self, Format, Output, Table};
use crate::session::{Session, Target};

/// Shows objects.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// TYPE, TYPE NAME..., TYPE/NAME...; several types with commas
    #[arg(required = true, value_name = "TYPE")]
    what: Vec<String>,

    #[command(flatten)]
    format: Format,

    /// Label selector, such as `app=web`
    #[arg(short = 'l', long, default_value = "", hide_default_value = true)]
    selector: String,

    /// Field selector, such as `spec.nodeName=node-1`
    #[arg(long, default_value = "", hide_default_value = true)]
    field_selector: String,

    /// Objects of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Show every change until interrupted
    #[arg(short, long)]
    watch: bool,

    /// Leave the headings away
    #[arg(long)]
    no_headers: bool,

    /// Succeed where a named object does not exist
    #[arg(long)]
    ignore_not_found: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let selections = selections(&args.what)?;
        if args.watch {
            let [selection] = selections.as_slice() else { bail!("--watch follows one resource type") };
            return args.follow(&session, selection).await;
        }
        args.show(&session, &selections).await
    })
}

impl Args {
    fn options(&self) -> ListOptions {
        ListOptions {
            label_selector: self.selector.clone(),
            field_selector: self.field_selector.clone(),
            ..ListOptions::default()
        }
    }

    async fn show(&self, session: &Session, selections: &[Selection]) -> anyhow::Result<ExitCode> {
        let mut all: Vec<Vec<Box<dyn Object>>> = Vec::new();
        let mut failures = Vec::new();
        for selection in selections {
            let api = session.api(selection.kind, self.all_namespaces);
            let mut objects = Vec::new();
            if selection.names.is_empty() {
                objects = api.list(&self.options()).await?.items;
            }
            for name in &selection.names {
                match api.get(name).await {
                    Ok(object) => objects.push(object),
                    Err(error) if error.is_not_found() && self.ignore_not_found => {}
                    Err(error) if error.is_not_found() => failures.push(error),
                    Err(error) => return Err(error.into()),
                }
            }
            all.push(objects);
        }
        let count: usize = all.iter().map(Vec::len).sum();
        match self.format.output {
            Some(Output::Wide) | None => self.tables(selections, &all),
            Some(format) => {
                let as_list = selections.iter().any(|selection| selection.names.is_empty());
                let objects: Vec<Box<dyn Object>> = all.into_iter().flatten().collect();
                if !objects.is_empty() || as_list {
                    output::print(&output::text(&objects, format, as_list)?);
                }
            }
        }
        for error in &failures {
            eprintln!("error: {error}");
        }
        if count == 0 && failures.is_empty() && !self.ignore_not_found {
            match selections.iter().all(|selection| !selection.kind.namespaced()) || self.all_namespaces {
                true => eprintln!("No resources found"),
                false => eprintln!("No resources found in {} namespace.", session.namespace),
            }
        }
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn tables(&self, selections: &[Selection], all: &[Vec<Box<dyn Object>>]) {
        let now = jiff::Timestamp::now();
        let mut text = String::new();
        for (selection, objects) in selections.iter().zip(all).filter(|(_, objects)| !objects.is_empty()) {
            if !text.is_empty() {
                text.push('\n');
            }
            let rows: Vec<&dyn Object> = objects.iter().map(AsRef::as_ref).collect();
            text.push_str(&self.table(selection).rows(&rows, now));
        }
        output::print(&text);
    }

    fn table(&self, selection: &Selection) -> Table {
        let wide = self.format.output == Some(Output::Wide);
        let with_namespace = self.all_namespaces && selection.kind.namespaced();
        Table::new(selection.kind, wide, with_namespace, !self.no_headers)
    }

    async fn follow(&self, session: &Session, selection: &Selection) -> anyhow::Result<ExitCode> {
        let api = session.api(selection.kind, self.all_namespaces);
        let mut options = self.options();
        match selection.names.as_slice() {
            [] => {}
            [name] => options.field_selector = format!("metadata.name={name}"),
            _ => bail!("--watch follows one object, or all of a type"),
        }
        let mut table = self.table(selection);
        let list = api.list(&options).await?;
        let objects: Vec<&dyn Object> = list.items.iter().map(AsRef::as_ref).collect();
        if !objects.is_empty() {
            self.row(&mut table, &objects)?;
        }
        options.resource_version = list.metadata.resource_version;
        options.allow_watch_bookmarks = true;
        loop {
            let mut watch = api.watch(&options).await?;
            // The server ends a watch now and then; the next one goes on where this one ended.
            while let Some(event) = watch.next().await {
                match event? {
                    WatchEvent::Bookmark { revision, .. } => options.resource_version = revision.to_string(),
                    event => {
                        let object = object(event)?;
                        options.resource_version.clone_from(&object.meta().resource_version);
                        self.row(&mut table, &[object.as_ref()])?;
                    }
                }
            }
        }
    }

    fn row(&self, table: &mut Table, objects: &[&dyn Object]) -> anyhow::Result<()> {
        match self.format.output {
            Some(Output::Wide) | None => output::print(&table.rows(objects, jiff::Timestamp::now())),
            Some(format) => {
                for object in objects {
                    let text = output::text(&[object.clone_object()], format, false)?;
                    output::print(&text);
                    if format == Output::Yaml {
                        output::print("---\n");
                    }
                }
            }
        }
        Ok(())
    }
}

fn object(event: DynamicEvent) -> anyhow::Result<Box<dyn Object>> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => Ok(object),
        WatchEvent::Bookmark { .. } => bail!("a bookmark carries no object"),
    }
}
