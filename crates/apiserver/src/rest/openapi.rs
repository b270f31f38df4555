//! `/openapi/v3`: which documents there are, and one for each group and version.

use gantry_api::Kind;
use gantry_api::schema::openapi;
use http::{HeaderMap, Response};
use serde_json::{Map, Value, json};
use tonic::body::Body;

use super::accept::JSON;
use super::documents::cached;
use super::path::not_found;
use crate::discovery;
use crate::status::ApiError;

/// Answers for the rest of a path behind `/openapi/`.
pub(super) fn answer(path: &str, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    let document = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["v3"] => index(),
        ["v3", "api", version] => document("", version).ok_or_else(not_found)?,
        ["v3", "apis", group, version] => document(group, version).ok_or_else(not_found)?,
        _ => return Err(not_found()),
    };
    Ok(cached(&document, headers, JSON))
}

fn index() -> Value {
    let paths: Map<String, Value> = discovery::by_group()
        .into_iter()
        .map(|(group, version, _)| {
            let path = prefix(group, version);
            // The version in the address lets clients keep the document until the server changes.
            let url = format!("/openapi/v3{path}?hash={}", env!("CARGO_PKG_VERSION"));
            (path.trim_start_matches('/').to_owned(), json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({ "paths": paths })
}

fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

fn document(group: &str, version: &str) -> Option<Value> {
    let (_, _, kinds) = discovery::by_group().into_iter().find(|(g, v, _)| *g == group && *v == version)?;
    let mut paths = Map::new();
    for kind in &kinds {
        add_paths(kind, &mut paths);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": discovery::GIT_VERSION},
        "paths": paths,
        "components": {"schemas": openapi::components(kinds)},
    }))
}

fn add_paths(kind: &Kind, paths: &mut Map<String, Value>) {
    let prefix = prefix(kind.group, kind.version);
    let collection = if kind.namespaced() {
        format!("{prefix}/namespaces/{{namespace}}/{}", kind.plural)
    } else {
        format!("{prefix}/{}", kind.plural)
    };
    let operation = |action: &str, parameters: &[&str], body: bool| operation(kind, action, parameters, body);
    let write = ["pretty", "dryRun", "fieldManager", "fieldValidation"];
    let list = ["pretty", "labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch"];
    paths.insert(
        collection.clone(),
        json!({
            "get": operation("list", &list, false),
            "post": operation("post", &write, true),
            "delete": operation("deletecollection", &list, false),
        }),
    );
    paths.insert(
        format!("{collection}/{{name}}"),
        json!({
            "get": operation("get", &["pretty"], false),
            "put": operation("put", &write, true),
            "patch": operation("patch", &write, true),
            "delete": operation("delete", &["pretty", "dryRun", "gracePeriodSeconds", "propagationPolicy"], false),
        }),
    );
    if kind.namespaced() {
        let all = json!({"get": operation("list", &list, false)});
        paths.insert(format!("{prefix}/{}", kind.plural), all);
    }
}

fn operation(kind: &Kind, action: &str, parameters: &[&str], body: bool) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    let schema = json!({"$ref": format!("#/components/schemas/{}", openapi::name(kind.message))});
    let mut operation = json!({
        "operationId": format!("{action}{}", kind.kind),
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {JSON: {"schema": schema}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    });
    if body {
        let schema = if action == "patch" { json!({"type": "object"}) } else { schema };
        operation["requestBody"] = json!({"required": true, "content": {"*/*": {"schema": schema}}});
    }
    operation
}
