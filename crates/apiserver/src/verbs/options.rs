//! What the options of a request mean.

use std::sync::LazyLock;
use std::time::Duration;

use gantry_api::Kind;
use gantry_api::meta::v1::ListOptions;
use gantry_api::selector::{FieldSelector, LabelSelector};

use super::Target;
use crate::cache::Selection;
use crate::status::ApiError;

/// How long a watch lasts that does not say: this, and up to as much again, so that watchers do not all come back at
/// once.
const WATCH: Duration = Duration::from_secs(1800);

/// Which revision a list is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// Everything that was acknowledged before the request.
    Newest,
    /// Whatever is at hand.
    Any,
    /// This one or a later one.
    NotOlderThan(i64),
    /// This one.
    Exactly(i64),
}

/// Reads a resource version. Empty means absent.
pub(super) fn revision(text: &str) -> Result<Option<i64>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(revision) if revision >= 0 => Ok(Some(revision)),
        _ => Err(ApiError::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: must be a revision"
        ))),
    }
}

/// Which revision a list without a continue token is to have.
pub(super) fn at(options: &ListOptions) -> Result<At, ApiError> {
    let revision = revision(&options.resource_version)?;
    let invalid = |detail: &str| Err(ApiError::bad_request(format!("resourceVersionMatch: {detail}")));
    match (options.resource_version_match.as_str(), revision) {
        ("", None) => Ok(At::Newest),
        ("" | "NotOlderThan", Some(0)) => Ok(At::Any),
        ("", Some(revision)) if options.limit > 0 => Ok(At::Exactly(revision)),
        ("" | "NotOlderThan", Some(revision)) => Ok(At::NotOlderThan(revision)),
        ("Exact", Some(0)) => invalid("Forbidden: \"Exact\" is forbidden for resourceVersion \"0\""),
        ("Exact", Some(revision)) => Ok(At::Exactly(revision)),
        ("NotOlderThan" | "Exact", None) => {
            invalid("Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
        }
        (other, _) => {
            invalid(&format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\""))
        }
    }
}

/// Which objects of the target are meant.
pub(super) fn selection(target: &Target, options: &ListOptions) -> Result<Selection, ApiError> {
    let wrong = |what: &str, error: gantry_api::selector::SelectorError| {
        ApiError::bad_request(format!("unable to parse {what} selector: {error}"))
    };
    let labels = LabelSelector::parse(&options.label_selector).map_err(|error| wrong("label", error))?;
    let mut text = options.field_selector.clone();
    if !target.name.is_empty() {
        let comma = if text.is_empty() { "" } else { "," };
        text.push_str(&format!("{comma}{}", FieldSelector::field("metadata.name", &target.name)));
    }
    let fields = FieldSelector::parse(&text).map_err(|error| wrong("field", error))?;
    for term in fields.terms() {
        if !is_selectable(target.kind, &term.field) {
            let field = &term.field;
            return Err(ApiError::bad_request(format!(
                "Unable to find {:?} that match label selector {:?}, field selector {:?}: field label not \
                 supported: {field}",
                target.kind.api_version() + ", Resource=" + target.kind.plural,
                options.label_selector,
                options.field_selector,
            )));
        }
    }
    Ok(Selection { namespace: target.namespace.clone(), labels, fields })
}

fn is_selectable(kind: &'static Kind, field: &str) -> bool {
    type Fields = Vec<(&'static str, Vec<&'static str>)>;
    static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
        let fields = |kind: &&'static Kind| {
            let fields = kind.new_object().strategy().selectable_fields();
            (kind.message, fields.into_iter().map(|(field, _)| field).collect())
        };
        gantry_api::registry::all().iter().map(fields).collect()
    });
    matches!(field, "metadata.name" | "metadata.namespace")
        || FIELDS.iter().any(|(message, fields)| *message == kind.message && fields.contains(&field))
}

/// Whether nothing is to be written.
pub(super) fn dry_run(values: &[String]) -> Result<bool, ApiError> {
    match values {
        [] => Ok(false),
        values if values.iter().all(|value| value == "All") => Ok(true),
        values => Err(ApiError::bad_request(format!(
            "dryRun: Unsupported value: {values:?}: supported values: \"All\""
        ))),
    }
}

/// How long a watch lasts.
pub(super) fn watch_duration(options: &ListOptions) -> Duration {
    match options.timeout_seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs().min(86_400)),
        _ => WATCH + WATCH.mul_f64(rand::random::<f64>()),
    }
}
