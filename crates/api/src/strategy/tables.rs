//! The tables of `kubectl get`: upstream's columns, and the cells of an object.

pub(super) mod admissionregistration;
pub(super) mod apiregistration;
pub(super) mod autoscaling;
pub(super) mod batch;
pub(super) mod certificates;
pub(super) mod config;
pub(super) mod event;
pub(super) mod flowcontrol;
pub(super) mod networking;
pub(super) mod node;
pub(super) mod pod;
pub(super) mod policy;
pub(super) mod rbac;
pub(super) mod resource;
pub(super) mod scheduling;
pub(super) mod service;
pub(super) mod storage;
pub(super) mod storage_class;
pub(super) mod workload;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, human_duration};
use crate::scalars::{MicroTime, Quantity, Time};

/// What upstream prints where there is nothing.
const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";
const UNSET: &str = "<unset>";

/// Text, or `<none>` where it is empty.
fn or_none(text: &str) -> Value {
    if text.is_empty() { NONE.into() } else { text.into() }
}

/// Items joined by commas, or `<none>`.
fn joined<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Value {
    let items: Vec<T> = items.into_iter().collect();
    let texts: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    or_none(&texts.join(","))
}

/// Labels as `a=b,c=d`, or `<none>`.
fn labels(labels: &BTreeMap<String, String>) -> Value {
    joined(labels.iter().map(|(key, value)| format!("{key}={value}")))
}

/// Amounts as `cpu: 1/2, ...`: what is used of what there may be.
fn amount(amounts: &BTreeMap<String, Quantity>, resource: &str) -> String {
    amounts.get(resource).map_or_else(String::new, ToString::to_string)
}

/// The time since an instant.
fn since(time: Option<Timestamp>, now: Timestamp) -> String {
    match time {
        None => UNKNOWN.to_owned(),
        Some(time) => human_duration(now.as_second().saturating_sub(time.as_second())),
    }
}

fn seconds(time: Option<Time>) -> Option<Timestamp> {
    time.filter(|time| *time != Time::default()).and_then(|time| time.timestamp())
}

fn micros(time: Option<MicroTime>) -> Option<Timestamp> {
    time.filter(|time| *time != MicroTime::default()).and_then(|time| time.timestamp())
}

/// Access modes by their short names.
fn access_modes(modes: &[String]) -> String {
    let order = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let short = order.iter().filter(|(mode, _)| modes.iter().any(|m| m == mode)).map(|(_, short)| *short);
    short.collect::<Vec<_>>().join(",")
}
