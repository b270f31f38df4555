//! What a server says that it has: the operations of its OpenAPI documents, with their parameters and media types.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::case::User;
use crate::client::Client;
use crate::run::request;

/// A method of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operation {
    /// In upper case.
    pub method: String,
    /// The path, with the names of its variables in braces.
    pub template: String,
    /// `x-kubernetes-action`; empty for what is no object.
    pub action: String,
    /// The group that the path is about.
    pub group: String,
    /// The parameters of the query.
    pub parameters: BTreeSet<String>,
    /// The media types of the body; empty where there is none.
    pub takes: BTreeSet<String>,
    /// The media types of the answers.
    pub gives: BTreeSet<String>,
}

/// All operations of a server.
#[derive(Debug, Clone, Default)]
pub struct Surface {
    operations: Vec<Operation>,
    /// The templates by the number of their segments.
    templates: BTreeMap<usize, BTreeSet<String>>,
}

impl Surface {
    /// Reads every OpenAPI v3 document that the server has.
    pub async fn read(client: &Client) -> anyhow::Result<Self> {
        let index = get(client, "/openapi/v3").await?;
        let documents = index["paths"].as_object().context("the index of OpenAPI v3 has no paths")?;
        ensure!(!documents.is_empty(), "the index of OpenAPI v3 is empty");
        let mut operations = Vec::new();
        for (name, entry) in documents {
            let url =
                entry["serverRelativeURL"].as_str().with_context(|| format!("{name} has no address"))?;
            operations.extend(of_document(&get(client, url).await?));
        }
        Ok(Self::new(operations))
    }

    /// These operations.
    #[must_use]
    pub fn new(operations: Vec<Operation>) -> Self {
        let mut templates: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for operation in &operations {
            templates
                .entry(segments(&operation.template).len())
                .or_default()
                .insert(operation.template.clone());
        }
        Self { operations, templates }
    }

    /// Those of the operations that `wanted` says.
    #[must_use]
    pub fn only(self, wanted: impl Fn(&Operation) -> bool) -> Self {
        Self::new(self.operations.into_iter().filter(wanted).collect())
    }

    /// The operations.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The template that a path is an instance of: the one with the fewest variables.
    #[must_use]
    pub fn template(&self, path: &str) -> Option<&str> {
        let path = segments(path);
        // What is behind a proxy may have any number of segments.
        let with_rest = (0..path.len()).rev().filter_map(|len| self.templates.get(&len)).flatten();
        let with_rest = with_rest.filter(|template| template.ends_with("/{path}"));
        let same = self.templates.get(&path.len()).into_iter().flatten();
        let fitting = same.chain(with_rest).filter(|template| fits(&segments(template), &path));
        fitting.max_by_key(|template| literals(template)).map(String::as_str)
    }

    /// Whether there is such an operation.
    #[must_use]
    pub fn has(&self, method: &str, template: &str) -> bool {
        self.operations.iter().any(|found| found.method == method && found.template == template)
    }
}

async fn get(client: &Client, path: &str) -> anyhow::Result<Value> {
    let answer = client.send(User::Admin, &request("GET", path, None)).await?;
    ensure!(answer.status == 200, "{path}: {}", answer.text());
    answer.value().with_context(|| path.to_owned())
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

fn is_variable(segment: &str) -> bool {
    segment.starts_with('{')
}

fn literals(template: &str) -> usize {
    segments(template).into_iter().filter(|segment| !is_variable(segment)).count()
}

fn fits(template: &[&str], path: &[&str]) -> bool {
    let alike = template.iter().zip(path).all(|(part, segment)| is_variable(part) || part == segment);
    alike
        && (template.len() == path.len() || template.len() < path.len() && template.last() == Some(&"{path}"))
}

/// The operations of a document.
fn of_document(document: &Value) -> Vec<Operation> {
    let empty = serde_json::Map::new();
    let mut operations = Vec::new();
    for (template, item) in document["paths"].as_object().unwrap_or(&empty) {
        let shared = parameters(&item["parameters"]);
        for method in ["get", "put", "post", "delete", "patch", "head", "options"] {
            let found = &item[method];
            if !found.is_object() {
                continue;
            }
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let answers = found["responses"].as_object().unwrap_or(&empty);
            operations.push(Operation {
                method: method.to_uppercase(),
                template: template.clone(),
                action: text(&found["x-kubernetes-action"]),
                group: group_of(template).to_owned(),
                parameters: shared.iter().cloned().chain(parameters(&found["parameters"])).collect(),
                takes: keys(&found["requestBody"]["content"]),
                gives: answers.values().flat_map(|answer| keys(&answer["content"])).collect(),
            });
        }
    }
    operations
}

/// The group of a path; empty for the core group.
fn group_of(path: &str) -> &str {
    match segments(path)[..] {
        ["apis", group, ..] => group,
        _ => "",
    }
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

/// The names of those that stand in the query.
fn parameters(list: &Value) -> BTreeSet<String> {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let of_query = all.iter().filter(|parameter| parameter["in"] == "query");
    of_query.filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn surface(templates: &[&str]) -> Surface {
        let operation = |template: &&str| Operation {
            method: "GET".to_owned(),
            template: (*template).to_owned(),
            ..Operation::default()
        };
        Surface::new(templates.iter().map(operation).collect())
    }

    #[test]
    fn the_most_literal_template_is_meant() {
        let surface = surface(&[
            "/api/v1/namespaces/{name}/status",
            "/api/v1/namespaces/{namespace}/pods",
            "/api/v1/namespaces/{namespace}/{any}",
            "/api/v1/nodes/{name}/proxy",
            "/api/v1/nodes/{name}/proxy/{path}",
        ]);
        for (path, template) in [
            ("/api/v1/namespaces/a/status", Some("/api/v1/namespaces/{name}/status")),
            ("/api/v1/namespaces/a/pods/", Some("/api/v1/namespaces/{namespace}/pods")),
            ("/api/v1/namespaces/a/others", Some("/api/v1/namespaces/{namespace}/{any}")),
            ("/api/v1/nodes/a/proxy", Some("/api/v1/nodes/{name}/proxy")),
            ("/api/v1/nodes/a/proxy/b", Some("/api/v1/nodes/{name}/proxy/{path}")),
            ("/api/v1/nodes/a/proxy/b/c", Some("/api/v1/nodes/{name}/proxy/{path}")),
            ("/api/v1/nodes/a", None),
        ] {
            assert_eq!(surface.template(path), template, "{path}");
        }
    }

    #[test]
    fn documents_are_read() {
        let document = json!({"paths": {"/apis/apps/{name}": {
            "parameters": [{"name": "name", "in": "path"}, {"name": "pretty", "in": "query"}],
            "patch": {
                "parameters": [{"name": "force", "in": "query"}],
                "requestBody": {"content": {"application/json-patch+json": {}}},
                "responses": {"200": {"content": {"application/json": {}}}, "401": {}},
                "x-kubernetes-action": "patch",
            },
        }}});
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        let wanted = Operation {
            method: "PATCH".to_owned(),
            template: "/apis/apps/{name}".to_owned(),
            action: "patch".to_owned(),
            group: "apps".to_owned(),
            parameters: set(&["force", "pretty"]),
            takes: set(&["application/json-patch+json"]),
            gives: set(&["application/json"]),
        };
        assert_eq!(of_document(&document), [wanted]);
    }
}
