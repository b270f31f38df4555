//! OpenAPI 3: a document for each group and version.

use gantry_api::Kind;
use gantry_api::schema::openapi::{Schemas, Version};
use serde_json::{Map, Value, json};

use super::operation::{Answer, Body, CUSTOM_PATCHES, Operation, PATCHES, Path, reason};
use super::parameter::Parameter;
use super::{bearer_token, info, paths, prefix};
use crate::discovery;

/// The paths of all documents, such as `apis/apps/v1`.
pub(super) fn paths(kinds: &[&'static Kind]) -> Vec<String> {
    let mut all = vec!["api".to_owned(), "apis".to_owned(), "version".to_owned()];
    for (group, version, _) in discovery::by_group(kinds) {
        all.push(prefix(group, version));
        if !group.is_empty() {
            all.push(format!("apis/{group}"));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The document of a path; `None` where there is none.
pub(super) fn document(kinds: &[&'static Kind], path: &str) -> Option<Value> {
    let found =
        discovery::by_group(kinds).into_iter().find(|(group, version, _)| prefix(group, version) == path);
    let scope = found.as_ref().map(|(group, version, _)| (*group, *version));
    let mut described = match path {
        "version" => vec![paths::of_version()],
        path if path.split('/').next().is_some_and(|first| matches!(first, "api" | "apis")) => {
            vec![paths::of_discovery(path)]
        }
        _ => return None,
    };
    for kind in found.into_iter().flat_map(|(_, _, kinds)| kinds) {
        described.extend(paths::of_kind(kind));
    }
    let mut schemas = Schemas::new(Version::V3, scope, kinds);
    let mut all = Map::new();
    for path in &described {
        all.insert(path.template.clone(), path_item(path, &mut schemas));
    }
    let mut components = json!({"securitySchemes": {"BearerToken": bearer_token()}});
    components["schemas"] = schemas.into_all().into_iter().collect::<Map<_, _>>().into();
    Some(json!({"openapi": "3.0.0", "info": info(), "paths": all, "components": components}))
}

fn path_item(path: &Path, schemas: &mut Schemas) -> Value {
    let mut item = Map::new();
    for operation in &path.operations {
        item.insert(operation.method.to_owned(), describe(operation, schemas));
    }
    if !path.parameters.is_empty() {
        item.insert("parameters".to_owned(), path.parameters.iter().map(parameter).collect());
    }
    item.into()
}

fn parameter(parameter: &Parameter) -> Value {
    let mut described = json!({
        "name": parameter.name,
        "in": if parameter.in_path { "path" } else { "query" },
        "description": parameter.description,
        "schema": {"type": parameter.r#type, "uniqueItems": true},
    });
    if parameter.in_path {
        described["required"] = true.into();
    }
    described
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "responses": responses(operation, schemas),
    });
    if !operation.parameters.is_empty() {
        described["parameters"] = operation.parameters.iter().map(parameter).collect();
    }
    if let Some(body) = &operation.body {
        described["requestBody"] = request_body(body, schemas);
    }
    if let Some(action) = operation.action {
        described["x-kubernetes-action"] = action.into();
    }
    if let Some((group, version, kind)) = operation.gvk {
        described["x-kubernetes-group-version-kind"] =
            json!({"group": group, "version": version, "kind": kind});
    }
    described
}

fn request_body(body: &Body, schemas: &mut Schemas) -> Value {
    match body {
        Body::Object(message) => {
            let schema = super::v2::message(schemas, message);
            json!({"content": {"*/*": {"schema": schema}}, "required": true})
        }
        Body::DeleteOptions => {
            let schema = super::v2::message(schemas, super::v2::DELETE_OPTIONS);
            json!({"content": {"*/*": {"schema": schema}}})
        }
        Body::Patch | Body::CustomPatch => {
            let schema = schemas.patch();
            let types: &[&str] = if matches!(body, Body::Patch) { &PATCHES } else { &CUSTOM_PATCHES };
            let content: Map<_, _> =
                types.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect();
            json!({"content": content, "required": true})
        }
    }
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let schema = match &operation.answer {
        Answer::Object(message) => super::v2::message(schemas, message),
        Answer::Text => json!({"type": "string"}),
    };
    let media = operation.produces.media_types().iter();
    let content: Map<_, _> = media.map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect();
    let mut responses = Map::new();
    for status in operation.statuses {
        responses.insert(status.to_string(), json!({"description": reason(*status), "content": content}));
    }
    responses.insert("401".to_owned(), json!({"description": reason(401)}));
    responses.into()
}
