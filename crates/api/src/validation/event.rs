//! Events, in both groups.

use super::common::{immutable, one_of};
use crate::core::v1::{Event, ObjectReference};
use crate::events;
use crate::field::{Error, ErrorList, Path};

const TYPES: [&str; 2] = ["Normal", "Warning"];
const MAX_NOTE: usize = 1024;
const MAX_NAME: usize = 128;

/// An event lies in the namespace of its object; those of objects without one lie in `default`.
fn namespace(errors: &mut ErrorList, own: &str, object: Option<&ObjectReference>, field: &str) {
    let of_object = object.map(|object| object.namespace.as_str()).unwrap_or_default();
    let matches =
        if of_object.is_empty() { matches!(own, "" | "default" | "kube-system") } else { own == of_object };
    if !matches {
        let path = Path::new(field).child("namespace");
        errors.push(Error::invalid(path, of_object, "does not match event.namespace"));
    }
}

/// An event in the old form, which demands little.
pub(crate) fn core(event: &Event) -> ErrorList {
    let mut errors = ErrorList::new();
    let own = event.metadata.as_ref().map(|meta| meta.namespace.as_str()).unwrap_or_default();
    namespace(&mut errors, own, event.involved_object.as_ref(), "involvedObject");
    errors
}

/// An event in the new form, whose fields all mean something.
pub(crate) fn events(event: &events::v1::Event) -> ErrorList {
    let mut errors = ErrorList::new();
    let own = event.metadata.as_ref().map(|meta| meta.namespace.as_str()).unwrap_or_default();
    namespace(&mut errors, own, event.regarding.as_ref(), "regarding");
    if event.event_time.is_none() {
        errors.push(Error::required(Path::new("eventTime"), ""));
    }
    let texts = [
        ("reportingController", &event.reporting_controller, MAX_NAME),
        ("reportingInstance", &event.reporting_instance, MAX_NAME),
        ("action", &event.action, MAX_NAME),
        ("reason", &event.reason, MAX_NAME),
    ];
    for (field, text, max) in texts {
        if text.is_empty() {
            errors.push(Error::required(Path::new(field), ""));
        } else if text.len() > max {
            errors.push(Error::too_long(Path::new(field), max));
        }
    }
    if event.note.len() > MAX_NOTE {
        errors.push(Error::too_long(Path::new("note"), MAX_NOTE));
    }
    one_of(&mut errors, &Path::new("type"), &event.r#type, &TYPES);
    errors
}

/// Of an event in the new form only the series goes on.
pub(crate) fn events_update(new: &events::v1::Event, old: &events::v1::Event) -> ErrorList {
    let mut errors = events(new);
    immutable(&mut errors, &Path::new("regarding"), &new.regarding, &old.regarding);
    immutable(&mut errors, &Path::new("reason"), &new.reason, &old.reason);
    immutable(&mut errors, &Path::new("action"), &new.action, &old.action);
    immutable(&mut errors, &Path::new("note"), &new.note, &old.note);
    immutable(&mut errors, &Path::new("eventTime"), &new.event_time, &old.event_time);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(object: Value) -> Event {
        let meta = json!({ "name": "e", "namespace": "default" });
        serde_json::from_value(json!({ "metadata": meta, "involvedObject": object })).unwrap()
    }

    #[test]
    fn an_event_lies_with_its_object() {
        assert_eq!(core(&of(json!({ "namespace": "default" }))), []);
        assert_eq!(core(&of(json!({ "kind": "Node" }))), []);
        assert_eq!(
            texts(&core(&of(json!({ "namespace": "other" })))),
            ["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"]
        );
    }

    #[test]
    fn the_new_form_demands_all_fields() {
        let empty = events::v1::Event::default();
        let errors = super::events(&empty);
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        let expected = ["eventTime", "reportingController", "reportingInstance", "action", "reason", "type"];
        assert_eq!(paths, expected);
    }
}
