//! How objects are printed: a table, YAML, JSON or names.

use anyhow::bail;
use clap::Args;
use gantry_api::{Kind, Object, yaml};
use serde_json::{Map, Value, json};

/// The flag that says how objects are printed.
#[derive(Debug, Clone, Default, Args)]
pub struct Format {
    /// wide, yaml, json or name. Default: a table
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// A way to print objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A table with more columns.
    Wide,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// `TYPE/NAME`.
    Name,
}

/// The JSON of an object as files have it: with `apiVersion` and `kind`.
///
/// # Errors
/// Where the object holds what JSON cannot.
pub fn value(object: &dyn Object) -> anyhow::Result<Value> {
    let mut all = Map::new();
    all.insert("apiVersion".to_owned(), object.kind().api_version().into());
    all.insert("kind".to_owned(), object.kind().kind.into());
    match object.to_value()? {
        Value::Object(fields) => all.extend(fields),
        other => bail!("{} is no JSON object but {other}", object.kind().kind),
    }
    if let Some(Value::Object(meta)) = all.get_mut("metadata") {
        meta.remove("managedFields");
    }
    Ok(Value::Object(all))
}

/// Prints objects as text formats do: one by itself, several as a List.
///
/// # Errors
/// Where an object holds what JSON cannot.
pub fn text(objects: &[Box<dyn Object>], output: Output, as_list: bool) -> anyhow::Result<String> {
    if output == Output::Name {
        return Ok(objects
            .iter()
            .map(|o| crate::names::qualified(o.kind(), &o.meta().name) + "\n")
            .collect());
    }
    let values = objects.iter().map(|object| value(object.as_ref())).collect::<anyhow::Result<Vec<_>>>()?;
    let whole = match values.as_slice() {
        [only] if !as_list => only.clone(),
        _ => {
            json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": values})
        }
    };
    Ok(match output {
        Output::Yaml => yaml::to_string(&whole)?,
        _ => serde_json::to_string_pretty(&whole)? + "\n",
    })
}

/// A table of one kind that can grow: rows that come later are aligned with those before them.
#[derive(Debug)]
pub struct Table {
    columns: Vec<usize>,
    names: Vec<String>,
    widths: Vec<usize>,
    with_namespace: bool,
    with_headers: bool,
}

impl Table {
    /// A table of `kind`.
    #[must_use]
    pub fn new(kind: &Kind, wide: bool, with_namespace: bool, with_headers: bool) -> Self {
        let columns: Vec<usize> =
            (0..kind.columns.len()).filter(|i| wide || kind.columns[*i].priority == 0).collect();
        let own = columns.iter().map(|i| kind.columns[*i].name.to_uppercase());
        let names: Vec<String> =
            with_namespace.then(|| "NAMESPACE".to_owned()).into_iter().chain(own).collect();
        Self { columns, widths: vec![0; names.len()], names, with_namespace, with_headers }
    }

    /// A table with the columns of one that a server made (a `meta.v1` Table), for kinds whose columns it alone knows.
    #[must_use]
    pub fn served(table: &Value, wide: bool, with_namespace: bool, with_headers: bool) -> Self {
        let definitions = table["columnDefinitions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let columns: Vec<usize> = (0..definitions.len())
            .filter(|i| wide || definitions[*i]["priority"].as_i64().unwrap_or(0) == 0)
            .collect();
        let own = columns.iter().map(|i| definitions[*i]["name"].as_str().unwrap_or_default().to_uppercase());
        let names: Vec<String> =
            with_namespace.then(|| "NAMESPACE".to_owned()).into_iter().chain(own).collect();
        Self { columns, widths: vec![0; names.len()], names, with_namespace, with_headers }
    }

    /// The lines of these objects, with the headings before the first ones.
    #[must_use]
    pub fn rows(&mut self, objects: &[&dyn Object], now: jiff::Timestamp) -> String {
        let cells = objects.iter().map(|object| {
            let all = object.strategy().cells(now);
            self.cells(&all, &object.meta().namespace)
        });
        let cells = cells.collect();
        self.lines(cells)
    }

    /// The lines of a table that a server made, with the headings before the first ones.
    #[must_use]
    pub fn served_rows(&mut self, table: &Value) -> String {
        let rows = table["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        let cells = rows.iter().map(|row| {
            let all = row["cells"].as_array().map(Vec::as_slice).unwrap_or_default();
            self.cells(all, row["object"]["metadata"]["namespace"].as_str().unwrap_or_default())
        });
        let cells = cells.collect();
        self.lines(cells)
    }

    fn lines(&mut self, cells: Vec<Vec<String>>) -> String {
        let first = self.widths.iter().all(|width| *width == 0);
        if first {
            let names = (self.with_headers).then_some(&self.names);
            for row in cells.iter().chain(names) {
                for (width, cell) in self.widths.iter_mut().zip(row) {
                    *width = (*width).max(cell.chars().count());
                }
            }
        }
        let mut out = String::new();
        if first && self.with_headers {
            self.line(&self.names, &mut out);
        }
        for row in &cells {
            self.line(row, &mut out);
        }
        out
    }

    fn cells(&self, all: &[Value], namespace: &str) -> Vec<String> {
        let own = self.columns.iter().map(|i| match all.get(*i) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "<none>".to_owned(),
            Some(other) => other.to_string(),
        });
        let namespace = self.with_namespace.then(|| namespace.to_owned());
        namespace.into_iter().chain(own).collect()
    }

    fn line(&self, row: &[String], out: &mut String) {
        let last = row.len().saturating_sub(1);
        for (i, (cell, width)) in row.iter().zip(&self.widths).enumerate() {
            out.push_str(cell);
            if i < last {
                let gap = width.saturating_sub(cell.chars().count()) + 3;
                out.extend(std::iter::repeat_n(' ', gap));
            }
        }
        out.push('\n');
    }
}

/// Prints, and ends quietly where the reader has gone (`kctl get pods | head`).
pub fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::Object;
    use gantry_api::core::v1::ConfigMap;

    use super::{Output, Table, text};

    fn object(name: &str) -> Box<dyn Object> {
        let value = serde_json::json!({"metadata": {"name": name, "namespace": "default"}});
        Box::new(serde_json::from_value::<ConfigMap>(value).unwrap())
    }

    #[test]
    fn one_object_is_itself_and_several_are_a_list() {
        let one = text(&[object("a")], Output::Json, false).unwrap();
        assert!(one.contains("\"kind\": \"ConfigMap\"") && !one.contains("items"), "{one}");
        let two = text(&[object("a"), object("b")], Output::Yaml, false).unwrap();
        assert!(two.contains("kind: List"), "{two}");
        assert_eq!(text(&[object("a")], Output::Name, false).unwrap(), "configmap/a\n");
    }

    #[test]
    fn tables_of_a_server_are_printed_as_their_own() {
        let row = |name: &str, size: u8| serde_json::json!({"cells": [name, size, null], "object": {"metadata": {"namespace": "here"}}});
        let served = serde_json::json!({
            "columnDefinitions": [{"name": "Name"}, {"name": "Size", "priority": 0}, {"name": "More", "priority": 1}],
            "rows": [row("a", 1), row("longer", 2)]
        });
        let lines = Table::served(&served, false, true, true).served_rows(&served);
        assert_eq!(lines, "NAMESPACE   NAME     SIZE\nhere        a        1\nhere        longer   2\n");
        let wide = Table::served(&served, true, false, false).served_rows(&served);
        assert_eq!(wide, "a        1   <none>\nlonger   2   <none>\n");
    }

    #[test]
    fn rows_are_aligned() {
        let (a, b) = (object("a"), object("longer"));
        let mut table = Table::new(a.kind(), false, false, true);
        let lines = table.rows(&[a.as_ref(), b.as_ref()], jiff::Timestamp::UNIX_EPOCH);
        let columns: Vec<usize> =
            lines.lines().map(|line| line.find(['0', 'D', '<']).unwrap_or(usize::MAX)).collect();
        assert!(lines.starts_with("NAME"), "{lines}");
        assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{lines}");
    }
}
