//! Tables, as `get` prints them: rows whose columns come from the registry of kinds.

use std::io::Write as _;
use std::sync::Arc;

use gantry_api::meta::v1::ListMeta;
use gantry_api::strategy::Column;
use gantry_api::{Kind, Object};
use serde_json::json;

use crate::cache::Entry;
use crate::status::ApiError;
use crate::verbs::List;

/// What a row carries of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// Everything.
    Object,
}

/// The table of one object.
pub(crate) fn of_entry(entry: &Entry, include: IncludeObject) -> Result<Vec<u8>, ApiError> {
    let metadata = ListMeta { resource_version: entry.revision().to_string(), ..ListMeta::default() };
    let mut table = Table::new(&metadata, Some(entry.kind().columns))?;
    table.row(entry, include)?;
    Ok(table.finish())
}

/// The table of a list.
pub(crate) fn of_list(kind: &Kind, list: &List, include: IncludeObject) -> Result<Vec<u8>, ApiError> {
    let mut table = Table::new(&list.metadata, Some(kind.columns))?;
    for entry in &list.items {
        table.row(entry, include)?;
    }
    Ok(table.finish())
}

/// The table of one event of a watch; only the first names its columns.
pub(crate) fn of_event(entry: &Arc<Entry>, first: bool, include: IncludeObject) -> Result<Vec<u8>, ApiError> {
    let metadata = ListMeta { resource_version: entry.revision().to_string(), ..ListMeta::default() };
    let mut table = Table::new(&metadata, first.then_some(entry.kind().columns))?;
    table.row(entry, include)?;
    Ok(table.finish())
}

/// The metadata of an object, as `PartialObjectMetadata` without the closing brace's siblings.
pub(crate) fn partial_object(object: &dyn Object) -> Result<Vec<u8>, ApiError> {
    let mut json = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#.to_vec();
    serde_json::to_writer(&mut json, object.meta()).map_err(ApiError::internal)?;
    json.push(b'}');
    Ok(json)
}

/// A table that is written row by row.
struct Table {
    json: Vec<u8>,
    rows: usize,
    now: jiff::Timestamp,
}

impl Table {
    fn new(metadata: &ListMeta, columns: Option<&[Column]>) -> Result<Self, ApiError> {
        let mut json = br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":"#.to_vec();
        serde_json::to_writer(&mut json, metadata).map_err(ApiError::internal)?;
        json.extend_from_slice(br#","columnDefinitions":"#);
        match columns {
            Some(columns) => {
                let columns: Vec<_> = columns.iter().map(definition).collect();
                serde_json::to_writer(&mut json, &columns).map_err(ApiError::internal)?;
            }
            None => json.extend_from_slice(b"null"),
        }
        json.extend_from_slice(br#","rows":["#);
        Ok(Self { json, rows: 0, now: jiff::Timestamp::now() })
    }

    fn row(&mut self, entry: &Entry, include: IncludeObject) -> Result<(), ApiError> {
        let object = entry.object()?;
        let cells = object.strategy().cells(self.now);
        if self.rows > 0 {
            self.json.push(b',');
        }
        self.rows += 1;
        self.json.extend_from_slice(br#"{"cells":"#);
        serde_json::to_writer(&mut self.json, &cells).map_err(ApiError::internal)?;
        self.json.extend_from_slice(br#","object":"#);
        match include {
            IncludeObject::None => self.json.extend_from_slice(b"null"),
            IncludeObject::Metadata => self.json.extend_from_slice(&partial_object(&*object)?),
            IncludeObject::Object => {
                let kind = entry.kind();
                // Writing to a vector cannot fail.
                let _ =
                    write!(self.json, r#"{{"kind":"{}","apiVersion":"{}","#, kind.kind, kind.api_version(),);
                self.json.extend_from_slice(&entry.json()?[1..]);
            }
        }
        self.json.push(b'}');
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        self.json.extend_from_slice(b"]}");
        self.json
    }
}

fn definition(column: &Column) -> serde_json::Value {
    json!({
        "name": column.name,
        "type": column.r#type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}
