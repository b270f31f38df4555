//! What a server has that no case asks for: with a gap, the battery fails.

use std::collections::{BTreeMap, BTreeSet};

use crate::coverage::Seen;
use crate::kinds::Served;
use crate::protobuf::PROTOBUF;
use crate::surface::{Operation, Surface};

/// The reasons of failures, each of which some case must have met.
const REASONS: [&str; 15] = [
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Expired",
    "Forbidden",
    "Invalid",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "RequestEntityTooLarge",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "UnsupportedMediaType",
];

/// Parameters with the values that they may have, each of which some case must have succeeded with.
const VALUES: [(&str, &[&str]); 13] = [
    ("allowWatchBookmarks", &["true", "false"]),
    ("dryRun", &["All"]),
    ("fieldValidation", &["Ignore", "Strict", "Warn"]),
    ("force", &["true", "false"]),
    ("gracePeriodSeconds", &["0", "30"]),
    ("includeObject", &["Metadata", "None", "Object"]),
    ("orphanDependents", &["true", "false"]),
    ("pretty", &["true", "false"]),
    ("propagationPolicy", &["Background", "Foreground", "Orphan"]),
    ("resourceVersion", &["0"]),
    ("resourceVersionMatch", &["Exact", "NotOlderThan"]),
    ("sendInitialEvents", &["true", "false"]),
    ("watch", &["true", "false"]),
];

/// The forms of bodies that are objects.
const FORMS: [&str; 3] = ["application/json", "application/yaml", PROTOBUF];

/// Every gap, as a text.
#[must_use]
pub fn find(surface: &Surface, served: &[Served], roots: &[String], seen: &[Seen]) -> Vec<String> {
    let mut by_operation: BTreeMap<(&str, &str), Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        if let Some(template) = surface.template(&one.path) {
            by_operation.entry((one.method.as_str(), template)).or_default().push(one);
        }
    }
    let mut gaps = Vec::new();
    for operation in surface.operations() {
        let key = (operation.method.as_str(), operation.template.as_str());
        let seen = by_operation.get(&key).map(Vec::as_slice).unwrap_or_default();
        let what = |gap: String| format!("{} {}: {gap}", operation.method, operation.template);
        gaps.extend(of_operation(operation, seen).into_iter().map(what));
    }
    gaps.extend(undocumented(surface, served));
    let asked: BTreeSet<&str> = seen.iter().map(|one| one.path.trim_end_matches('/')).collect();
    gaps.extend(
        roots.iter().filter(|root| !asked.contains(root.as_str())).map(|root| format!("{root}: no case")),
    );
    gaps.extend(of_all(seen));
    gaps
}

/// Whether a node has the last word, which a server alone does not have.
fn is_of_node(operation: &Operation) -> bool {
    operation.action == "connect" || operation.template.ends_with("/log")
}

fn of_operation(operation: &Operation, seen: &[&Seen]) -> Vec<String> {
    if seen.is_empty() {
        return vec!["no case".to_owned()];
    }
    let mut gaps = Vec::new();
    let node = is_of_node(operation);
    if !node && !seen.iter().any(|one| one.succeeded()) {
        gaps.push("no case succeeds".to_owned());
    }
    for status in [401, 403] {
        // The version is for everybody.
        let open = status == 403 && operation.action.is_empty();
        if !open && !seen.iter().any(|one| one.status == status) {
            gaps.push(format!("no case is refused with {status}"));
        }
    }
    for parameter in &operation.parameters {
        // Who may not be named with others is tested by the refusal that names it.
        let tested =
            |one: &&Seen| one.has(parameter) && (node || one.succeeded() || one.fields.contains(parameter));
        if !seen.iter().any(tested) {
            gaps.push(format!("the parameter {parameter} has no case"));
        }
    }
    if node {
        return gaps;
    }
    for media_type in &operation.gives {
        let base = media_type.split(';').next().unwrap_or_default();
        let given = |one: &&Seen| {
            let whole = one.succeeded() && one.got.split(';').next() == Some(base);
            // Upstream's documents say YAML of watches, too, which have none.
            one.accept == *media_type && (whole || one.status == 406)
        };
        if !seen.iter().any(given) {
            gaps.push(format!("the media type {media_type} of answers has no case"));
        }
    }
    for media_type in taken(operation) {
        if !seen.iter().any(|one| one.succeeded() && one.sent == media_type) {
            gaps.push(format!("the media type {media_type} of bodies has no case"));
        }
    }
    gaps
}

/// The media types of an operation's bodies. Where the document says that any will do, the forms of objects are
/// meant, save protobuf where answers have none.
fn taken(operation: &Operation) -> Vec<&str> {
    if !operation.takes.contains("*/*") {
        return operation.takes.iter().map(String::as_str).collect();
    }
    FORMS.into_iter().filter(|form| *form != PROTOBUF || operation.gives.contains(PROTOBUF)).collect()
}

/// What discovery shows and the OpenAPI documents do not.
fn undocumented(surface: &Surface, served: &[Served]) -> Vec<String> {
    let mut gaps = Vec::new();
    for one in served {
        for (verb, method, path) in one.operations() {
            let template = surface.template(&path);
            if !template.is_some_and(|template| surface.has(method, template)) {
                gaps.push(format!("{verb} of {path}: discovery has it, OpenAPI has not"));
            }
        }
    }
    gaps
}

/// What is asked of the cases together.
fn of_all(seen: &[Seen]) -> Vec<String> {
    let mut gaps = Vec::new();
    for reason in REASONS {
        if !seen.iter().any(|one| one.reason == reason) {
            gaps.push(format!("no case fails with the reason {reason}"));
        }
    }
    for (parameter, values) in VALUES {
        for value in values {
            if !seen.iter().any(|one| one.succeeded() && one.says(parameter, value)) {
                gaps.push(format!("no case succeeds with {parameter}={value}"));
            }
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn operation() -> Operation {
        Operation {
            method: "POST".to_owned(),
            template: "/api/v1/things".to_owned(),
            action: "post".to_owned(),
            parameters: set(&["dryRun"]),
            takes: set(&["*/*"]),
            gives: set(&["application/json"]),
            ..Operation::default()
        }
    }

    fn seen(status: u16) -> Seen {
        Seen { status, ..Seen::default() }
    }

    #[test]
    fn everything_about_an_operation_is_wanted() {
        assert_eq!(of_operation(&operation(), &[]), ["no case"]);
        let (unauthorized, forbidden) = (seen(401), seen(403));
        let found = of_operation(&operation(), &[&unauthorized, &forbidden]);
        assert_eq!(
            found,
            [
                "no case succeeds",
                "the parameter dryRun has no case",
                "the media type application/json of answers has no case",
                "the media type application/json of bodies has no case",
                "the media type application/yaml of bodies has no case",
            ]
        );
        let json = Seen {
            parameters: BTreeSet::from([("dryRun".to_owned(), "All".to_owned())]),
            accept: "application/json".to_owned(),
            got: "application/json".to_owned(),
            sent: "application/json".to_owned(),
            ..seen(201)
        };
        let yaml = Seen { sent: "application/yaml".to_owned(), ..seen(201) };
        assert_eq!(of_operation(&operation(), &[&unauthorized, &forbidden, &json, &yaml]), [""; 0]);
        assert_eq!(of_operation(&operation(), &[&json, &yaml]).len(), 2);
    }

    #[test]
    fn a_refusal_counts_for_the_parameter_that_it_names() {
        let refused = |fields: &[&str]| Seen {
            parameters: BTreeSet::from([("dryRun".to_owned(), "Some".to_owned())]),
            fields: set(fields),
            ..seen(422)
        };
        let gap = "the parameter dryRun has no case".to_owned();
        assert!(!of_operation(&operation(), &[&refused(&["dryRun"])]).contains(&gap));
        assert!(of_operation(&operation(), &[&refused(&["other"])]).contains(&gap));
    }
}
