//! OpenAPI 2: one document for everything.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gantry_api::Kind;
use gantry_api::schema::openapi::{Schemas, Version};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::operation::{Answer, Body, CUSTOM_PATCHES, Operation, PATCHES, Path, reason};
use super::parameter::Parameter;
use super::{bearer_token, info, paths, v3};
use crate::discovery;

pub(super) const DELETE_OPTIONS: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// The document.
pub(super) fn document(kinds: &[&'static Kind]) -> Value {
    let mut described = vec![paths::of_version()];
    described.extend(
        v3::paths(kinds).iter().filter(|path| *path != "version").map(|path| paths::of_discovery(path)),
    );
    for (_, _, kinds) in discovery::by_group(kinds) {
        described.extend(kinds.into_iter().flat_map(paths::of_kind));
    }
    let mut writer = Writer { schemas: Schemas::new(Version::V2, None, kinds), parameters: BTreeMap::new() };
    let mut all = Map::new();
    for path in &described {
        all.insert(path.template.clone(), writer.path_item(path));
    }
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": all,
        "definitions": writer.schemas.into_all(),
        "parameters": writer.parameters,
        "securityDefinitions": {"BearerToken": bearer_token()},
        "security": [{"BearerToken": []}],
    })
}

/// A reference to a message's schema. The version of the server is no message of the schema.
pub(super) fn message(schemas: &mut Schemas, message: &str) -> Value {
    schemas.reference(message).unwrap_or_else(|| json!({"type": "object"}))
}

struct Writer {
    schemas: Schemas,
    /// Those that several operations have, by names that their content makes.
    parameters: BTreeMap<String, Value>,
}

impl Writer {
    fn path_item(&mut self, path: &Path) -> Value {
        let mut item = Map::new();
        for operation in &path.operations {
            let described = self.describe(operation);
            item.insert(operation.method.to_owned(), described);
        }
        if !path.parameters.is_empty() {
            let parameters = path.parameters.iter().map(|parameter| self.parameter(parameter)).collect();
            item.insert("parameters".to_owned(), parameters);
        }
        item.into()
    }

    fn parameter(&mut self, parameter: &Parameter) -> Value {
        let mut described = json!({
            "name": parameter.name,
            "in": if parameter.in_path { "path" } else { "query" },
            "description": parameter.description,
            "type": parameter.r#type,
            "uniqueItems": true,
        });
        if parameter.in_path {
            described["required"] = true.into();
        }
        let mut name = format!("{}-", parameter.name);
        for byte in Sha256::digest(described.to_string()).iter().take(4) {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        let reference = json!({"$ref": format!("#/parameters/{name}")});
        self.parameters.entry(name).or_insert(described);
        reference
    }

    fn describe(&mut self, operation: &Operation) -> Value {
        let mut parameters = Vec::new();
        if let Some(body) = &operation.body {
            let (schema, required) = match body {
                Body::Object(name) => (message(&mut self.schemas, name), true),
                Body::DeleteOptions => (message(&mut self.schemas, DELETE_OPTIONS), false),
                Body::Patch | Body::CustomPatch => (self.schemas.patch(), true),
            };
            let mut body = json!({"name": "body", "in": "body", "schema": schema});
            if required {
                body["required"] = true.into();
            }
            parameters.push(body);
        }
        parameters.extend(operation.parameters.iter().map(|parameter| self.parameter(parameter)));
        let consumes: &[&str] = match operation.body {
            Some(Body::Patch) => &PATCHES,
            Some(Body::CustomPatch) => &CUSTOM_PATCHES,
            _ => &["*/*"],
        };
        let mut described = json!({
            "tags": [operation.tag],
            "description": operation.description,
            "operationId": operation.id,
            "consumes": consumes,
            "produces": operation.produces.media_types(),
            "schemes": ["https"],
            "responses": self.responses(operation),
        });
        if !parameters.is_empty() {
            described["parameters"] = parameters.into();
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

    fn responses(&mut self, operation: &Operation) -> Value {
        let schema = match &operation.answer {
            Answer::Object(name) => message(&mut self.schemas, name),
            Answer::Text => json!({"type": "string"}),
        };
        let mut responses = Map::new();
        for status in operation.statuses {
            responses.insert(status.to_string(), json!({"description": reason(*status), "schema": schema}));
        }
        responses.insert("401".to_owned(), json!({"description": reason(401)}));
        responses.into()
    }
}
