//! Events, in both of their groups.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, human_duration, micros, seconds, since};
use crate::Resource;
use crate::core::v1::{Event, EventSource, ObjectReference};

pub(in crate::strategy) const COLUMNS: &[Column] = &[
    Column::new("Last Seen", "string", "How long ago it happened last"),
    Column::new("Type", "string", "Normal or Warning"),
    Column::new("Reason", "string", "Why it was sent"),
    Column::new("Object", "string", "What it is about"),
    Column::wide("Subobject", "string", "The part of the object that it is about"),
    Column::wide("Source", "string", "Who sent it"),
    Column::new("Message", "string", "What happened"),
    Column::wide("First Seen", "string", "How long ago it happened first"),
    Column::wide("Count", "string", "How often it happened"),
    Column { priority: 1, ..Column::NAME },
];

pub(in crate::strategy) fn core(event: &Event, now: Timestamp) -> Vec<Value> {
    let object = event.involved_object.clone().unwrap_or_default();
    let series = event.series.unwrap_or_default();
    let time = micros(event.event_time);
    let (first, last) = (seconds(event.first_timestamp).or(time), seconds(event.last_timestamp).or(time));
    let count = match (series.count, event.count) {
        (0, 0) => 1,
        (0, count) => count,
        (series, _) => series,
    };
    row(&Row {
        name: event.name(),
        first,
        last: micros(series.last_observed_time).or(last),
        r#type: &event.r#type,
        reason: &event.reason,
        object: &object,
        source: source(event.source.as_ref(), &event.reporting_component, &event.reporting_instance),
        message: &event.message,
        count,
        now,
    })
}

pub(in crate::strategy) fn events(event: &crate::events::v1::Event, now: Timestamp) -> Vec<Value> {
    let object = event.regarding.clone().unwrap_or_default();
    let series = event.series.unwrap_or_default();
    let time = micros(event.event_time);
    let first = seconds(event.deprecated_first_timestamp).or(time);
    let last = seconds(event.deprecated_last_timestamp).or(time);
    let deprecated = event.deprecated_source.as_ref();
    row(&Row {
        name: event.name(),
        first,
        last: micros(series.last_observed_time).or(last),
        r#type: &event.r#type,
        reason: &event.reason,
        object: &object,
        source: source(deprecated, &event.reporting_controller, &event.reporting_instance),
        message: &event.note,
        count: series.count.max(event.deprecated_count.unwrap_or(0)).max(1),
        now,
    })
}

struct Row<'a> {
    name: &'a str,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    r#type: &'a str,
    reason: &'a str,
    object: &'a ObjectReference,
    source: String,
    message: &'a str,
    count: i32,
    now: Timestamp,
}

fn row(row: &Row<'_>) -> Vec<Value> {
    let first = since(row.first, row.now);
    let last = match row.last {
        // What went on happening says over how long.
        Some(last) if row.count > 1 => {
            let last = human_duration(row.now.as_second().saturating_sub(last.as_second()));
            format!("{last} (x{} over {first})", row.count)
        }
        last => since(last, row.now),
    };
    vec![
        last.into(),
        row.r#type.into(),
        row.reason.into(),
        format!("{}/{}", row.object.kind.to_lowercase(), row.object.name).into(),
        row.object.field_path.as_str().into(),
        row.source.as_str().into(),
        row.message.trim().into(),
        first.into(),
        row.count.into(),
        row.name.into(),
    ]
}

fn source(source: Option<&EventSource>, component: &str, instance: &str) -> String {
    let (component, host) = match source {
        Some(source) if !source.component.is_empty() => (source.component.as_str(), source.host.as_str()),
        _ => (component, instance),
    };
    if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") }
}
