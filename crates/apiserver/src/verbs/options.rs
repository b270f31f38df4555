//! What the options of a request mean.

use std::sync::LazyLock;
use std::time::Duration;

use gantry_api::Kind;
use gantry_api::field::{Error, ErrorList, Path};
use gantry_api::meta::v1::{ListOptions, PatchOptions};
use gantry_api::selector::{FieldSelector, LabelSelector};
use gantry_api::validation::managers::{self, MAX_MANAGER, is_printable};

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

/// Refuses options of a list or a watch that do not go together.
pub(super) fn check(options: &ListOptions, watch: bool) -> Result<(), ApiError> {
    let errors = if watch { watch_errors(options) } else { list_errors(options) };
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid_options("ListOptions", &errors)) }
}

const CONTINUED: &str = "resourceVersionMatch is forbidden when continue is provided";

fn list_errors(options: &ListOptions) -> ErrorList {
    let path = || Path::new("resourceVersionMatch");
    let mut errors = ErrorList::new();
    let wanted = options.resource_version_match.as_str();
    if !wanted.is_empty() {
        if options.resource_version.is_empty() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.push(Error::forbidden(path(), detail));
        }
        if !options.r#continue.is_empty() {
            errors.push(Error::forbidden(path(), CONTINUED));
        }
        if !matches!(wanted, "Exact" | "NotOlderThan") {
            let detail = r#"supported values: "Exact", "NotOlderThan", """#.to_owned();
            errors.push(Error { detail, ..Error::not_supported(path(), wanted, &[""]) });
        }
        if wanted == "Exact" && options.resource_version == "0" {
            let detail = r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#;
            errors.push(Error::forbidden(path(), detail));
        }
    }
    if options.send_initial_events.is_some() {
        let path = Path::new("sendInitialEvents");
        errors.push(Error::forbidden(path, "sendInitialEvents is forbidden for list"));
    }
    errors
}

fn watch_errors(options: &ListOptions) -> ErrorList {
    let path = || Path::new("resourceVersionMatch");
    let mut errors = ErrorList::new();
    let wanted = options.resource_version_match.as_str();
    if options.send_initial_events.is_some() && wanted != "NotOlderThan" {
        let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(Error::forbidden(path(), detail));
    }
    if !wanted.is_empty() {
        if options.send_initial_events.is_none() {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(Error::forbidden(path(), detail));
        }
        if wanted != "NotOlderThan" {
            errors.push(Error::not_supported(path(), wanted, &["NotOlderThan"]));
        }
        if !options.r#continue.is_empty() {
            errors.push(Error::forbidden(path(), CONTINUED));
        }
    }
    errors
}

/// Which revision a list without a continue token is to have; the options are checked.
pub(super) fn at(options: &ListOptions) -> Result<At, ApiError> {
    let revision = revision(&options.resource_version)?;
    match (options.resource_version_match.as_str(), revision) {
        ("", None) => Ok(At::Newest),
        ("" | "NotOlderThan", Some(0)) => Ok(At::Any),
        ("", Some(revision)) if options.limit > 0 => Ok(At::Exactly(revision)),
        ("" | "NotOlderThan", Some(revision)) => Ok(At::NotOlderThan(revision)),
        ("Exact", Some(revision)) => Ok(At::Exactly(revision)),
        // Refused by the check.
        (_, None) => Ok(At::Newest),
        (_, Some(revision)) => Ok(At::NotOlderThan(revision)),
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
        || kind.fields.contains(&field)
        || FIELDS.iter().any(|(message, fields)| *message == kind.message && fields.contains(&field))
}

/// Whether nothing is to be written, by what the named options say.
pub(crate) fn dry_run(of: &str, values: &[String]) -> Result<bool, ApiError> {
    match dry_run_error(values) {
        None => Ok(!values.is_empty()),
        Some(error) => Err(ApiError::invalid_options(of, &vec![error])),
    }
}

/// Whether nothing is to be written, by the named options of a write; refuses those that are wrong.
pub(super) fn of_write(of: &str, manager: &str, dry_run: &[String]) -> Result<bool, ApiError> {
    finish(of, manager, dry_run, ErrorList::new())
}

/// The same for a patch that is no apply.
pub(super) fn of_patch(options: &PatchOptions) -> Result<bool, ApiError> {
    finish(PATCH, &options.field_manager, &options.dry_run, patch_errors(options, false))
}

/// The same for an apply.
pub(super) fn of_apply(options: &PatchOptions) -> Result<bool, ApiError> {
    finish(PATCH, &options.field_manager, &options.dry_run, patch_errors(options, true))
}

const PATCH: &str = "PatchOptions";

fn finish(of: &str, manager: &str, dry_run: &[String], mut errors: ErrorList) -> Result<bool, ApiError> {
    errors.extend(manager_errors(manager));
    errors.extend(dry_run_error(dry_run));
    if errors.is_empty() { Ok(!dry_run.is_empty()) } else { Err(ApiError::invalid_options(of, &errors)) }
}

/// What a patch must say that applies a configuration, and what others may not.
pub(crate) fn patch_errors(options: &PatchOptions, apply: bool) -> ErrorList {
    let mut errors = ErrorList::new();
    if apply && options.field_manager.is_empty() {
        errors.push(Error::required(Path::new("fieldManager"), "is required for apply patch"));
    }
    if !apply && options.force.is_some() {
        errors.push(Error::forbidden(Path::new("force"), "may not be specified for non-apply patch"));
    }
    errors
}

/// What is wrong with the name of a field manager.
pub(crate) fn manager_errors(manager: &str) -> ErrorList {
    managers::manager(manager, &Path::new("fieldManager"))
}

/// The field manager of a request that names none: what stands before the first `/` in its user agent.
pub(crate) fn manager_of(user_agent: &str) -> String {
    let name = user_agent.split('/').next().unwrap_or_default();
    let mut manager = String::new();
    for letter in name.chars().filter(|letter| is_printable(*letter)) {
        if manager.len() + letter.len_utf8() > MAX_MANAGER {
            break;
        }
        manager.push(letter);
    }
    manager
}

/// What is wrong with `dryRun`.
pub(crate) fn dry_run_error(values: &[String]) -> Option<Error> {
    let known = values.iter().all(|value| value == "All");
    (!known).then(|| Error::not_supported(Path::new("dryRun"), values.to_vec(), &["All"]))
}

/// How long a watch lasts.
pub(super) fn watch_duration(options: &ListOptions) -> Duration {
    match options.timeout_seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs().min(86_400)),
        _ => WATCH + WATCH.mul_f64(rand::random::<f64>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_are_named_after_user_agents() {
        for (agent, manager) in [
            ("kubectl/v1.36.0 (linux/amd64) kubernetes/abc", "kubectl"),
            ("", ""),
            ("my\tagent", "myagent"),
            ("curl 8/1", "curl 8"),
        ] {
            assert_eq!(manager_of(agent), manager, "{agent:?}");
        }
        assert_eq!(manager_of(&"ä".repeat(100)).len(), 128);
    }

    fn refused(watch: bool, options: ListOptions) -> Vec<String> {
        let errors = if watch { watch_errors(&options) } else { list_errors(&options) };
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn versions_of_lists() {
        let options = |version: &str, wanted: &str| ListOptions {
            resource_version: version.to_owned(),
            resource_version_match: wanted.to_owned(),
            ..ListOptions::default()
        };
        for (version, wanted) in [("", ""), ("0", ""), ("5", "Exact"), ("0", "NotOlderThan")] {
            assert!(refused(false, options(version, wanted)).is_empty(), "{version} {wanted}");
        }
        assert_eq!(
            refused(false, options("", "Some")),
            [
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
                r#"resourceVersionMatch: Unsupported value: "Some": supported values: "Exact", "NotOlderThan", """#,
            ]
        );
        assert_eq!(refused(false, options("0", "Exact")).len(), 1);
        let initial = ListOptions { send_initial_events: Some(true), ..options("", "") };
        assert_eq!(
            refused(false, initial),
            ["sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"]
        );
    }

    #[test]
    fn versions_of_watches() {
        let options = |initial: Option<bool>, wanted: &str| ListOptions {
            send_initial_events: initial,
            resource_version_match: wanted.to_owned(),
            ..ListOptions::default()
        };
        assert!(refused(true, options(Some(true), "NotOlderThan")).is_empty());
        assert!(refused(true, options(None, "")).is_empty());
        assert_eq!(refused(true, options(Some(false), "")).len(), 1);
        assert_eq!(refused(true, options(None, "NotOlderThan")).len(), 1);
        assert_eq!(refused(true, options(None, "Exact")).len(), 2);
    }
}
