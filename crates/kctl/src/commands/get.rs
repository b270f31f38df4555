//! `kctl get`

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;
use gantry_api::Object;
use gantry_client::{Client, DynamicEvent, ListOptions, WatchEvent};
use serde_json::{Value, json};

use crate::names::Selection;
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
        let selections = session.selections(&args.what).await?;
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

    /// Whether the rows of a kind are the server's, since what its columns are is not known here.
    fn is_served(&self, selection: &Selection) -> bool {
        selection.kind.is_custom() && matches!(self.format.output, Some(Output::Wide) | None)
    }

    async fn show(&self, session: &Session, selections: &[Selection]) -> anyhow::Result<ExitCode> {
        let mut all: Vec<Found> = Vec::new();
        let mut failures = Vec::new();
        for selection in selections {
            let api = session.api(selection.kind, self.all_namespaces);
            let mut found = Found::default();
            if selection.names.is_empty() {
                if self.is_served(selection) {
                    found.served.push(api.table("", &self.options()).await?);
                } else {
                    found.objects = api.list(&self.options()).await?.items;
                }
            }
            for name in &selection.names {
                let added = if self.is_served(selection) {
                    api.table(name, &ListOptions::default()).await.map(|table| found.served.push(table))
                } else {
                    api.get(name).await.map(|object| found.objects.push(object))
                };
                match added {
                    Ok(()) => {}
                    Err(error) if error.is_not_found() && self.ignore_not_found => {}
                    Err(error) if error.is_not_found() => failures.push(error),
                    Err(error) => return Err(error.into()),
                }
            }
            all.push(found);
        }
        let count: usize = all.iter().map(Found::len).sum();
        match self.format.output {
            Some(Output::Wide) | None => self.tables(selections, &all),
            Some(format) => {
                let as_list = selections.iter().any(|selection| selection.names.is_empty());
                let objects: Vec<Box<dyn Object>> = all.into_iter().flat_map(|found| found.objects).collect();
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

    fn tables(&self, selections: &[Selection], all: &[Found]) {
        let now = jiff::Timestamp::now();
        let mut text = String::new();
        for (selection, found) in selections.iter().zip(all).filter(|(_, found)| found.len() > 0) {
            if !text.is_empty() {
                text.push('\n');
            }
            let rows: Vec<&dyn Object> = found.objects.iter().map(AsRef::as_ref).collect();
            let mut table = self.table(selection, found.served.first());
            if !rows.is_empty() {
                text.push_str(&table.rows(&rows, now));
            }
            if let Some(served) = found.whole() {
                text.push_str(&table.served_rows(&served));
            }
        }
        output::print(&text);
    }

    /// The table of a selection; `served` is one with its columns, where they are the server's.
    fn table(&self, selection: &Selection, served: Option<&Value>) -> Table {
        let wide = self.format.output == Some(Output::Wide);
        let with_namespace = self.all_namespaces && selection.kind.namespaced();
        match served {
            Some(served) => Table::served(served, wide, with_namespace, !self.no_headers),
            None => Table::new(selection.kind, wide, with_namespace, !self.no_headers),
        }
    }

    async fn follow(&self, session: &Session, selection: &Selection) -> anyhow::Result<ExitCode> {
        let api = session.api(selection.kind, self.all_namespaces);
        let mut options = self.options();
        match selection.names.as_slice() {
            [] => {}
            [name] => options.field_selector = format!("metadata.name={name}"),
            _ => bail!("--watch follows one object, or all of a type"),
        }
        let mut rows = if self.is_served(selection) {
            let served = api.table("", &options).await?;
            options.resource_version =
                served["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
            let mut table = self.table(selection, Some(&served));
            if served["rows"].as_array().is_some_and(|rows| !rows.is_empty()) {
                output::print(&table.served_rows(&served));
            }
            Rows {
                table,
                served: Some(Served { client: session.client.clone(), last: served_by_name(&served) }),
            }
        } else {
            let list = api.list(&options).await?;
            let mut rows = Rows { table: self.table(selection, None), served: None };
            let objects: Vec<&dyn Object> = list.items.iter().map(AsRef::as_ref).collect();
            if !objects.is_empty() {
                self.row(&mut rows, &objects).await?;
            }
            options.resource_version = list.metadata.resource_version;
            rows
        };
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
                        self.row(&mut rows, &[object.as_ref()]).await?;
                    }
                }
            }
        }
    }

    async fn row(&self, rows: &mut Rows, objects: &[&dyn Object]) -> anyhow::Result<()> {
        match (self.format.output, &mut rows.served) {
            (Some(Output::Wide) | None, None) => {
                output::print(&rows.table.rows(objects, jiff::Timestamp::now()));
            }
            (Some(Output::Wide) | None, Some(served)) => {
                for object in objects {
                    if let Some(row) = served.row(*object).await? {
                        output::print(&rows.table.served_rows(&row));
                    }
                }
            }
            (Some(format), _) => {
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

/// What was found of a selection: objects, or tables that the server made of them.
#[derive(Default)]
struct Found {
    objects: Vec<Box<dyn Object>>,
    served: Vec<Value>,
}

impl Found {
    fn len(&self) -> usize {
        let rows = |table: &Value| table["rows"].as_array().map_or(0, Vec::len);
        self.objects.len() + self.served.iter().map(rows).sum::<usize>()
    }

    /// One table with the rows of all.
    fn whole(&self) -> Option<Value> {
        let (first, others) = self.served.split_first()?;
        let mut whole = first.clone();
        let rows = whole["rows"].as_array_mut()?;
        rows.extend(others.iter().filter_map(|table| table["rows"].as_array()).flatten().cloned());
        Some(whole)
    }
}

/// The rows of a watch.
struct Rows {
    table: Table,
    served: Option<Served>,
}

/// Rows that the server makes, and the last one of each object, which is what is shown when it is gone.
struct Served {
    client: Client,
    last: BTreeMap<(String, String), Value>,
}

impl Served {
    async fn row(&mut self, object: &dyn Object) -> anyhow::Result<Option<Value>> {
        let meta = object.meta();
        let key = (meta.namespace.clone(), meta.name.clone());
        let api = self.client.dynamic(object.kind(), &meta.namespace);
        match api.table(&meta.name, &ListOptions::default()).await {
            Ok(table) => {
                self.last.insert(key, table.clone());
                Ok(Some(table))
            }
            Err(error) if error.is_not_found() => Ok(self.last.remove(&key)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The rows of a table, each as a table of its own, by namespace and name.
fn served_by_name(table: &Value) -> BTreeMap<(String, String), Value> {
    let rows = table["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |row: &Value| {
        let text = |field: &str| row["object"]["metadata"][field].as_str().unwrap_or_default().to_owned();
        ((text("namespace"), text("name")), json!({"rows": [row]}))
    };
    rows.iter().map(one).collect()
}

fn object(event: DynamicEvent) -> anyhow::Result<Box<dyn Object>> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => Ok(object),
        WatchEvent::Bookmark { .. } => bail!("a bookmark carries no object"),
    }
}
