//! From `kubectl apply` without the server to server-side apply: what the annotation of the former says is the latter's.

use serde_json::Value;

use super::configuration::Subject;
use super::set::Set;
use super::validate;
use super::walk::{compare, fields};

/// The manager that takes over.
pub(super) const MANAGER: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// How large all annotations of an object may be.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// The fields that were applied without the server and are still as they were applied; `None` without an annotation
/// that can be read.
pub(super) fn fields_of(subject: &Subject<'_>, live: &Value) -> Option<Set> {
    let text = live.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()?;
    let last: Value = serde_json::from_str(text).ok()?;
    if last.get("apiVersion").and_then(Value::as_str) != Some(subject.group_version.as_str())
        || validate::problems(&last, subject.of).is_some()
    {
        return None;
    }
    let comparison = compare(&&last, &live, subject.of);
    let mut applied = fields(&&last, subject.of);
    for changed in [&comparison.modified, &comparison.added, &comparison.removed] {
        applied.subtract(changed);
    }
    Some(applied)
}

/// Keeps the annotation as what was applied last, where there is one: whoever goes back to applying without the server
/// must find it.
pub(super) fn renew(value: &mut Value, config: &Value) {
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    let annotations = value.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations.filter(|annotations| annotations.contains_key(ANNOTATION)) else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), format!("{config}\n").into());
    let size = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    if annotations.iter().map(size).sum::<usize>() > MAX_ANNOTATIONS {
        annotations.remove(ANNOTATION);
    }
}
