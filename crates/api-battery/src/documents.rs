//! Cases for every operation that is about no object, and for every one that only a node can answer.

use serde_json::json;

use crate::case::{Case, Step};
use crate::expect::Expect;
use crate::surface::{Operation, Surface};

/// A case for each document of discovery, in each of its forms, and for each operation that needs a node, about a thing
/// that is not there, with each of its parameters.
#[must_use]
pub fn cases(surface: &Surface) -> Vec<Case> {
    let case = |operation: &Operation| {
        let steps = if operation.action.is_empty() {
            operation.gives.iter().map(|form| document(operation, form)).collect()
        } else if operation.action == "connect" || operation.template.ends_with("/log") {
            vec![absent(operation)]
        } else {
            return None;
        };
        let title = format!("documents: {} {}", operation.method, operation.template);
        Some(Case { title, alone: false, steps })
    };
    surface.operations().iter().filter_map(case).collect()
}

fn document(operation: &Operation, form: &str) -> Step {
    let mut step = Step {
        send: format!("{} {}", operation.method, operation.template),
        expect: Expect { status: 200, ..Expect::default() },
        ..Step::default()
    };
    step.headers.insert("Accept".to_owned(), form.to_owned());
    step.expect.headers.insert("content-type".to_owned(), form.to_owned());
    step
}

/// What is not there has no node that could answer.
fn absent(operation: &Operation) -> Step {
    let path = operation.template.replace("{namespace}", "${ns}").replace("{name}", "battery-nothing");
    let path = path.replace("{path}", "some/where");
    let value = |name: &String| match name.as_str() {
        "command" | "container" | "path" | "namespace" => format!("{name}=battery"),
        "ports" => "ports=80".to_owned(),
        "limitBytes" | "sinceSeconds" | "tailLines" => format!("{name}=5"),
        "sinceTime" => "sinceTime=2020-01-01T00:00:00Z".to_owned(),
        "stream" => "stream=All".to_owned(),
        name => format!("{name}=true"),
    };
    let query: Vec<String> =
        operation.parameters.iter().filter(|name| name.as_str() != "sinceTime").map(value).collect();
    let resource = ["pods", "services", "nodes"].into_iter().find(|one| path.contains(&format!("/{one}/")));
    // A service is asked for through where it leads.
    let resource = resource.map_or("", |one| if one == "services" { "endpoints" } else { one });
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": format!("{resource} \"battery-nothing\" not found"),
        "reason": "NotFound",
        "details": {"name": "battery-nothing", "kind": resource},
        "code": 404,
    });
    Step {
        send: format!("{} {path}?{}", operation.method, query.join("&")),
        expect: Expect { status: 404, body: Some(body), ..Expect::default() },
        ..Step::default()
    }
}
