//! Cases for every operation: that strangers and nobody are refused, and in which words.

use serde_json::json;

use crate::case::{Case, Step, User};
use crate::expect::Expect;
use crate::surface::{Operation, Surface};

/// What nothing is named.
const NAME: &str = "battery-nothing";

/// A case for each operation.
#[must_use]
pub fn cases(surface: &Surface) -> Vec<Case> {
    let case = |operation: &Operation| Case {
        title: format!("refusals: {} {}", operation.method, operation.template),
        alone: false,
        steps: steps(operation),
    };
    surface.operations().iter().map(case).collect()
}

fn steps(operation: &Operation) -> Vec<Step> {
    let path =
        operation.template.replace("{namespace}", "${ns}").replace("{name}", NAME).replace("{path}", "x");
    let send = format!("{} {path}", operation.method);
    let nobody = Step { send, user: User::Anonymous, ..Step::default() };
    let mut stranger = nobody.clone();
    stranger.headers.insert("Authorization".to_owned(), "Bearer battery".to_owned());
    stranger.expect = Expect {
        status: 401,
        body: Some(json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "Unauthorized",
            "reason": "Unauthorized",
            "code": 401,
        })),
        ..Expect::default()
    };
    if operation.action.is_empty() {
        return vec![stranger];
    }
    let (message, details) = forbidden(operation);
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "Forbidden",
        "details": details,
        "code": 403,
    });
    vec![stranger, Step { expect: Expect { status: 403, body: Some(body), ..Expect::default() }, ..nobody }]
}

/// What is said to nobody, and about what.
fn forbidden(operation: &Operation) -> (String, serde_json::Value) {
    let asked = Asked::of(operation);
    let Asked { group, namespace, resource, name, .. } = &asked;
    let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
    let subject = if name.is_empty() { qualified } else { format!("{qualified} \"{name}\"") };
    let place = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{namespace}\"")
    };
    let below = if asked.subresource.is_empty() { String::new() } else { format!("/{}", asked.subresource) };
    let message = format!(
        "{subject} is forbidden: User \"system:anonymous\" cannot {} resource \"{resource}{below}\" in API group \
         \"{group}\" {place}",
        asked.verb
    );
    let mut details = json!({"kind": resource});
    if !name.is_empty() {
        details["name"] = name.clone().into();
    }
    if !group.is_empty() {
        details["group"] = group.clone().into();
    }
    (message, details)
}

/// What a request asks for, as authorization sees it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    verb: &'static str,
    group: String,
    namespace: String,
    resource: String,
    name: String,
    subresource: String,
}

impl Asked {
    fn of(operation: &Operation) -> Self {
        let mut segments: Vec<&str> = operation.template.split('/').filter(|part| !part.is_empty()).collect();
        let group = if segments.first() == Some(&"api") { "" } else { segments[1] };
        segments.drain(..if group.is_empty() { 2 } else { 3 });
        let watch = segments.first() == Some(&"watch");
        if watch {
            segments.remove(0);
        }
        let mut namespace = "";
        match segments.as_slice() {
            ["namespaces", "{namespace}", _, ..] => {
                namespace = "${ns}";
                segments.drain(..2);
            }
            // A namespace is in itself.
            ["namespaces", "{name}", ..] => namespace = NAME,
            _ => {}
        }
        let named = segments.len() > 1;
        let verb = match (operation.method.as_str(), named) {
            ("GET", _) if watch => "watch",
            ("GET", true) => "get",
            ("GET", false) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "delete",
            _ => "deletecollection",
        };
        Self {
            verb,
            group: group.to_owned(),
            namespace: namespace.to_owned(),
            resource: segments.first().copied().unwrap_or_default().to_owned(),
            name: if named { NAME.to_owned() } else { String::new() },
            subresource: segments.get(2).copied().unwrap_or_default().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(method: &str, template: &str) -> String {
        let operation =
            Operation { method: method.to_owned(), template: template.to_owned(), ..Operation::default() };
        forbidden(&operation).0
    }

    #[test]
    fn what_is_asked_for_is_named() {
        let user = "is forbidden: User \"system:anonymous\" cannot";
        for (method, template, text) in [
            (
                "GET",
                "/api/v1/pods",
                format!("pods {user} list resource \"pods\" in API group \"\" at the cluster scope"),
            ),
            (
                "PUT",
                "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale",
                format!(
                    "deployments.apps \"battery-nothing\" {user} update resource \"deployments/scale\" in API group \
                     \"apps\" in the namespace \"${{ns}}\""
                ),
            ),
            (
                "GET",
                "/api/v1/watch/namespaces/{name}",
                format!(
                    "namespaces \"battery-nothing\" {user} watch resource \"namespaces\" in API group \"\" in the \
                     namespace \"battery-nothing\""
                ),
            ),
        ] {
            assert_eq!(said(method, template), text);
        }
    }
}
