//! The parameters of requests.

use std::borrow::Cow;

/// A parameter of a path or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: Cow<'static, str>,
    pub(super) in_path: bool,
    pub(super) r#type: &'static str,
    pub(super) description: Cow<'static, str>,
}

const fn query(name: &'static str, r#type: &'static str, description: &'static str) -> Parameter {
    Parameter { name: Cow::Borrowed(name), in_path: false, r#type, description: Cow::Borrowed(description) }
}

const fn path(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name: Cow::Borrowed(name),
        in_path: true,
        r#type: "string",
        description: Cow::Borrowed(description),
    }
}

pub(super) const PRETTY: Parameter = query(
    "pretty",
    "string",
    "Whether JSON is laid out for people; default: only for browsers, curl and wget.",
);
pub(super) const NAMESPACE: Parameter = path("namespace", "The namespace of the objects.");
pub(super) const NAME: Parameter = path("name", "The name of the object.");
pub(super) const REST_OF_PATH: Parameter = path("path", "The path that is asked for behind the proxy.");

const FIELD_MANAGER: Parameter =
    query("fieldManager", "string", "Who owns the fields that are written; required to apply.");
const FIELD_VALIDATION: Parameter = query(
    "fieldValidation",
    "string",
    "What becomes of unknown and duplicate fields: Ignore, Warn (the default) or Strict, which refuses the request.",
);
const DRY_RUN: Parameter = query("dryRun", "string", "All: everything is done but stored.");
const FORCE: Parameter =
    query("force", "boolean", "Apply also where others own the fields; for apply patches only.");

const ALLOW_WATCH_BOOKMARKS: Parameter = query(
    "allowWatchBookmarks",
    "boolean",
    "Whether a watch sends bookmarks, which say how far it has come.",
);
const CONTINUE: Parameter = query("continue", "string", "The token of the page before.");
const FIELD_SELECTOR: Parameter = query("fieldSelector", "string", "Only objects with these fields.");
const LABEL_SELECTOR: Parameter = query("labelSelector", "string", "Only objects with these labels.");
const LIMIT: Parameter = query("limit", "integer", "How many objects a page has at most.");
const RESOURCE_VERSION: Parameter =
    query("resourceVersion", "string", "A version that the answer is about, or starts from.");
const RESOURCE_VERSION_MATCH: Parameter =
    query("resourceVersionMatch", "string", "How resourceVersion is meant: NotOlderThan or Exact.");
const SEND_INITIAL_EVENTS: Parameter = query(
    "sendInitialEvents",
    "boolean",
    "Whether a watch begins with the objects that are there, and a bookmark behind them.",
);
const TIMEOUT_SECONDS: Parameter = query("timeoutSeconds", "integer", "How long the request may take.");
const WATCH: Parameter = query("watch", "boolean", "Watch for changes instead of listing.");

const GRACE_PERIOD_SECONDS: Parameter =
    query("gracePeriodSeconds", "integer", "Seconds that the object has to stop; 0 is at once.");
const ORPHAN_DEPENDENTS: Parameter =
    query("orphanDependents", "boolean", "Deprecated: use propagationPolicy. Whether what it owns stays.");
const PROPAGATION_POLICY: Parameter = query(
    "propagationPolicy",
    "string",
    "What becomes of the objects that it owns: Orphan, Background or Foreground.",
);

/// Of lists and watches.
pub(super) const LIST: [Parameter; 10] = [
    ALLOW_WATCH_BOOKMARKS,
    CONTINUE,
    FIELD_SELECTOR,
    LABEL_SELECTOR,
    LIMIT,
    RESOURCE_VERSION,
    RESOURCE_VERSION_MATCH,
    SEND_INITIAL_EVENTS,
    TIMEOUT_SECONDS,
    WATCH,
];

/// Of POST and PUT.
pub(super) const WRITE: [Parameter; 3] = [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];

/// Of PATCH.
pub(super) const PATCH: [Parameter; 4] = [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];

/// Of DELETE.
pub(super) const DELETE: [Parameter; 4] =
    [DRY_RUN, GRACE_PERIOD_SECONDS, ORPHAN_DEPENDENTS, PROPAGATION_POLICY];

/// Of DELETE of a collection.
pub(super) const DELETE_COLLECTION: [Parameter; 12] = [
    CONTINUE,
    DRY_RUN,
    FIELD_SELECTOR,
    GRACE_PERIOD_SECONDS,
    LABEL_SELECTOR,
    LIMIT,
    ORPHAN_DEPENDENTS,
    PROPAGATION_POLICY,
    RESOURCE_VERSION,
    RESOURCE_VERSION_MATCH,
    SEND_INITIAL_EVENTS,
    TIMEOUT_SECONDS,
];

/// Those that carry the fields of a message.
pub(super) fn of_message(message: &str) -> Vec<Parameter> {
    let fields = gantry_api::schema::openapi::parameters(message).into_iter();
    fields
        .map(|(name, description, r#type)| Parameter {
            name: name.into(),
            in_path: false,
            r#type,
            description: description.into(),
        })
        .collect()
}
