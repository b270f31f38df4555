//! The paths of each kind, of discovery and of the version.

use gantry_api::{Kind, Subresource};

use super::operation::{Answer, Body, Gvk, Operation, Path, Produces};
use super::parameter::{self, NAME, NAMESPACE, PRETTY, Parameter};
use super::prefix;
use crate::discovery;

const META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.";

/// What the paths of a kind have in common.
struct Names {
    kind: &'static Kind,
    /// `CoreV1`.
    group: String,
    /// `core_v1`.
    tag: String,
    /// `Namespaced`, or nothing.
    scope: &'static str,
}

/// The paths of a kind.
pub(super) fn of_kind(kind: &'static Kind) -> Vec<Path> {
    let names = Names {
        kind,
        group: group_name(kind.group, kind.version),
        tag: tag(kind.group, kind.version),
        scope: if kind.namespaced() { "Namespaced" } else { "" },
    };
    let prefix = format!("/{}", prefix(kind.group, kind.version));
    let (namespace, place) =
        if kind.namespaced() { (vec![NAMESPACE], "/namespaces/{namespace}") } else { (Vec::new(), "") };
    let with = |more: &[Parameter]| [&namespace[..], more].concat();
    let collection = format!("{prefix}{place}/{}", kind.plural);
    let object = format!("{collection}/{{name}}");
    let lists = discovery::verbs(kind).contains(&"list");
    let watches = discovery::verbs(kind).contains(&"watch");

    let mut paths = Vec::new();
    paths.push(Path { template: collection, parameters: with(&[PRETTY]), operations: names.of_collection() });
    let operations = names.of_object();
    if !operations.is_empty() {
        paths.push(Path { template: object.clone(), parameters: with(&[NAME, PRETTY]), operations });
    }
    if kind.namespaced() && lists {
        paths.push(Path {
            template: format!("{prefix}/{}", kind.plural),
            parameters: [&parameter::LIST[..], &[PRETTY]].concat(),
            operations: vec![names.list(true)],
        });
    }
    for &subresource in kind.subresources {
        paths.extend(names.of_subresource(subresource, &object, &with(&[NAME])));
    }
    if watches {
        let all = [&parameter::LIST[..], &[PRETTY]].concat();
        let mut watch =
            |template: String, parameters: Vec<Parameter>, list: bool, suffix: &str, scope: &str| {
                let (action, list) = if list { ("watchlist", "List") } else { ("watch", "") };
                let operation = Operation {
                    parameters: Vec::new(),
                    answer: Answer::Object(format!("{META}WatchEvent")),
                    produces: Produces::Lists,
                    ..names.operation(
                        "get",
                        action,
                        format!("watch{}{scope}{}{list}{suffix}", names.group, kind.kind),
                        format!("Watch changes of {}: deprecated, list with watch=true instead.", kind.kind),
                    )
                };
                paths.push(Path {
                    template,
                    parameters: [&parameters[..], &all[..]].concat(),
                    operations: vec![operation],
                });
            };
        let collection = format!("{prefix}/watch{place}/{}", kind.plural);
        watch(format!("{collection}/{{name}}"), with(&[NAME]), false, "", names.scope);
        watch(collection, with(&[]), true, "", names.scope);
        if kind.namespaced() {
            watch(format!("{prefix}/watch/{}", kind.plural), Vec::new(), true, "ForAllNamespaces", "");
        }
    }
    paths.retain(|path| !path.operations.is_empty());
    if kind.is_custom() {
        paths.iter_mut().flat_map(|path| &mut path.operations).for_each(without_messages);
    }
    paths
}

/// Custom resources have no messages: no protobuf, and no patches that merge lists by keys.
fn without_messages(operation: &mut Operation) {
    operation.produces = Produces::Custom;
    if matches!(operation.body, Some(Body::Patch)) {
        operation.body = Some(Body::CustomPatch);
    }
}

impl Names {
    fn operation(
        &self,
        method: &'static str,
        action: &'static str,
        id: String,
        description: String,
    ) -> Operation {
        let kind = self.kind;
        Operation {
            method,
            id,
            description,
            tag: self.tag.clone(),
            action: Some(action),
            gvk: Some((kind.group, kind.version, kind.kind)),
            parameters: Vec::new(),
            body: None,
            produces: Produces::Objects,
            statuses: &[200],
            answer: Answer::Object(kind.message.to_owned()),
        }
    }

    fn list(&self, everywhere: bool) -> Operation {
        let (kind, group) = (self.kind.kind, &self.group);
        let (scope, suffix) = if everywhere { ("", "ForAllNamespaces") } else { (self.scope, "") };
        Operation {
            parameters: if everywhere { Vec::new() } else { parameter::LIST.to_vec() },
            produces: Produces::Lists,
            answer: Answer::Object(format!("{}List", self.kind.message)),
            ..self.operation(
                "get",
                "list",
                format!("list{group}{scope}{kind}{suffix}"),
                format!("List or watch objects of kind {kind}."),
            )
        }
    }

    fn of_collection(&self) -> Vec<Operation> {
        let (kind, group, scope) = (self.kind.kind, &self.group, self.scope);
        let mut operations = Vec::new();
        for verb in discovery::verbs(self.kind) {
            match *verb {
                "list" => operations.push(self.list(false)),
                "create" => operations.push(Operation {
                    parameters: parameter::WRITE.to_vec(),
                    body: Some(Body::Object(self.kind.message.to_owned())),
                    statuses: &[200, 201, 202],
                    ..self.operation(
                        "post",
                        "post",
                        format!("create{group}{scope}{kind}"),
                        format!("Create an object of kind {kind}."),
                    )
                }),
                "deletecollection" => operations.push(Operation {
                    parameters: parameter::DELETE_COLLECTION.to_vec(),
                    body: Some(Body::DeleteOptions),
                    answer: Answer::Object(format!("{META}Status")),
                    ..self.operation(
                        "delete",
                        "deletecollection",
                        format!("delete{group}Collection{scope}{kind}"),
                        format!("Delete the objects of kind {kind} that the selectors match."),
                    )
                }),
                _ => {}
            }
        }
        operations
    }

    fn of_object(&self) -> Vec<Operation> {
        let verbs = discovery::verbs(self.kind).iter();
        verbs.filter_map(|verb| self.of_one(verb, "", self.kind.message, self.gvk())).collect()
    }

    fn gvk(&self) -> Gvk {
        (self.kind.group, self.kind.version, self.kind.kind)
    }

    /// An operation on one object, or on one of its subresources.
    fn of_one(&self, verb: &str, subresource: &str, message: &str, gvk: Gvk) -> Option<Operation> {
        let (kind, group, scope) = (self.kind.kind, &self.group, self.scope);
        let suffix = capital(subresource);
        let about = if subresource.is_empty() {
            format!("an object of kind {kind}")
        } else {
            format!("the {subresource} of an object of kind {kind}")
        };
        let object = || Some(Body::Object(message.to_owned()));
        let make = |method, action, id: &str, what: &str| Operation {
            gvk: Some(gvk),
            answer: Answer::Object(message.to_owned()),
            ..self.operation(
                method,
                action,
                format!("{id}{group}{scope}{kind}{suffix}"),
                format!("{what} {about}."),
            )
        };
        let operation = match verb {
            "get" => make("get", "get", "read", "Read"),
            "update" => Operation {
                parameters: parameter::WRITE.to_vec(),
                body: object(),
                statuses: &[200, 201],
                ..make("put", "put", "replace", "Replace")
            },
            "patch" => Operation {
                parameters: parameter::PATCH.to_vec(),
                body: Some(Body::Patch),
                statuses: &[200, 201],
                ..make("patch", "patch", "patch", "Change")
            },
            "create" if !subresource.is_empty() => Operation {
                parameters: parameter::WRITE.to_vec(),
                body: object(),
                statuses: &[200, 201, 202],
                ..make("post", "post", "create", "Create")
            },
            "delete" => Operation {
                parameters: parameter::DELETE.to_vec(),
                body: Some(Body::DeleteOptions),
                statuses: &[200, 202],
                answer: Answer::Object(format!("{META}Status")),
                ..make("delete", "delete", "delete", "Delete")
            },
            _ => return None,
        };
        Some(operation)
    }

    fn of_subresource(&self, subresource: Subresource, object: &str, place: &[Parameter]) -> Vec<Path> {
        let name = subresource.name();
        let gvk = discovery::subresource_kind(self.kind, subresource);
        let verbs = discovery::subresource_verbs(subresource);
        let template = format!("{object}/{name}");
        // Streams are asked for by options in the query.
        if gvk.2.ends_with("Options") {
            let options = parameter::of_message(&message(self.kind, gvk));
            let mut paths = vec![Path {
                template: template.clone(),
                parameters: [place, &options[..]].concat(),
                operations: self.connect(verbs, name, gvk, ""),
            }];
            if name == "proxy" {
                let rest = [place, &options[..], &[parameter::REST_OF_PATH]].concat();
                let operations = self.connect(verbs, name, gvk, "WithPath");
                paths.push(Path { template: format!("{template}/{{path}}"), parameters: rest, operations });
            }
            return paths;
        }
        let message = message(self.kind, gvk);
        let operations = verbs.iter().filter_map(|verb| {
            let mut operation = self.of_one(verb, name, &message, gvk)?;
            if name == "log" {
                operation.produces = Produces::TextOrObjects;
                operation.answer = Answer::Text;
            }
            Some(operation)
        });
        let operations: Vec<_> = operations.collect();
        let mut parameters = place.to_vec();
        if name == "log" {
            parameters.extend(parameter::of_message("k8s.io.api.core.v1.PodLogOptions"));
        }
        // Some options have it themselves.
        if !parameters.contains(&PRETTY) {
            parameters.push(PRETTY);
        }
        // An object is created before it is read where both are possible at one path.
        vec![Path { template, parameters, operations }]
    }

    fn connect(&self, verbs: &[&str], name: &str, gvk: Gvk, suffix: &str) -> Vec<Operation> {
        let (kind, group, scope) = (self.kind.kind, &self.group, self.scope);
        let methods = verbs.iter().filter_map(|verb| match *verb {
            "get" => Some("get"),
            "create" => Some("post"),
            "update" => Some("put"),
            "patch" => Some("patch"),
            "delete" => Some("delete"),
            _ => None,
        });
        let operation = |method: &'static str| Operation {
            gvk: Some(gvk),
            produces: Produces::Anything,
            answer: Answer::Text,
            ..self.operation(
                method,
                "connect",
                format!("connect{group}{}{scope}{kind}{}{suffix}", capital(method), capital(name)),
                format!("Connect {} requests to {name} of an object of kind {kind}.", method.to_uppercase()),
            )
        };
        methods.map(operation).collect()
    }
}

/// The message of a subresource's objects.
fn message(kind: &Kind, (group, version, name): Gvk) -> String {
    if (group, version, name) == (kind.group, kind.version, kind.kind) {
        return kind.message.to_owned();
    }
    let package = group.split('.').next().filter(|package| !package.is_empty()).unwrap_or("core");
    format!("k8s.io.api.{package}.{version}.{name}")
}

/// `/api/`, `/apis/`, `/apis/GROUP/` and `/apis/GROUP/VERSION/`, by the message of what they answer.
pub(super) fn of_discovery(path: &str) -> Path {
    let (id, tag, message) = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["api"] => ("getCoreAPIVersions".to_owned(), "core".to_owned(), "APIVersions"),
        ["apis"] => ("getAPIVersions".to_owned(), "apis".to_owned(), "APIGroupList"),
        ["apis", group] => {
            let name = group_name(group, "");
            (format!("get{name}APIGroup"), lower(&name), "APIGroup")
        }
        ["api", version] => resources("", version),
        ["apis", group, version] => resources(group, version),
        _ => (String::new(), String::new(), "APIGroup"),
    };
    Path {
        template: format!("/{path}/"),
        parameters: Vec::new(),
        operations: vec![Operation {
            method: "get",
            id,
            description: "What there is below this path.".to_owned(),
            tag,
            action: None,
            gvk: None,
            parameters: Vec::new(),
            body: None,
            produces: Produces::Objects,
            statuses: &[200],
            answer: Answer::Object(format!("{META}{message}")),
        }],
    }
}

fn resources(group: &str, version: &str) -> (String, String, &'static str) {
    (format!("get{}APIResources", group_name(group, version)), tag(group, version), "APIResourceList")
}

/// `/version/`.
pub(super) fn of_version() -> Path {
    Path {
        template: "/version/".to_owned(),
        parameters: Vec::new(),
        operations: vec![Operation {
            method: "get",
            id: "getCodeVersion".to_owned(),
            description: "The version of the server.".to_owned(),
            tag: "version".to_owned(),
            action: None,
            gvk: None,
            parameters: Vec::new(),
            body: None,
            produces: Produces::Json,
            statuses: &[200],
            answer: Answer::Object("k8s.io.apimachinery.pkg.version.Info".to_owned()),
        }],
    }
}

/// `apps` and `v1` as `AppsV1`, `rbac.authorization.k8s.io` as `RbacAuthorization`.
fn group_name(group: &str, version: &str) -> String {
    let group = if group.is_empty() { "core" } else { group.strip_suffix(".k8s.io").unwrap_or(group) };
    group.split('.').map(capital).chain([capital(version)]).collect()
}

/// `apps_v1`, `rbacAuthorization_v1`.
fn tag(group: &str, version: &str) -> String {
    format!("{}_{version}", lower(&group_name(group, "")))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use gantry_api::registry;

    use super::*;

    fn id(group: &str, plural: &str, template: &str, method: &str) -> String {
        let paths = of_kind(registry::by_resource(group, "v1", plural).unwrap());
        let path = paths.iter().find(|path| path.template == template).unwrap();
        path.operations.iter().find(|operation| operation.method == method).unwrap().id.clone()
    }

    #[test]
    fn operations_have_upstreams_names() {
        for (group, plural, template, method, wanted) in [
            ("", "pods", "/api/v1/pods", "get", "listCoreV1PodForAllNamespaces"),
            (
                "",
                "pods",
                "/api/v1/namespaces/{namespace}/pods",
                "delete",
                "deleteCoreV1CollectionNamespacedPod",
            ),
            (
                "",
                "pods",
                "/api/v1/namespaces/{namespace}/pods/{name}/binding",
                "post",
                "createCoreV1NamespacedPodBinding",
            ),
            (
                "",
                "pods",
                "/api/v1/namespaces/{namespace}/pods/{name}/exec",
                "post",
                "connectCoreV1PostNamespacedPodExec",
            ),
            (
                "",
                "pods",
                "/api/v1/namespaces/{namespace}/pods/{name}/log",
                "get",
                "readCoreV1NamespacedPodLog",
            ),
            ("", "nodes", "/api/v1/watch/nodes/{name}", "get", "watchCoreV1Node"),
            ("", "namespaces", "/api/v1/namespaces/{name}", "put", "replaceCoreV1Namespace"),
            (
                "apps",
                "deployments",
                "/apis/apps/v1/watch/deployments",
                "get",
                "watchAppsV1DeploymentListForAllNamespaces",
            ),
            (
                "apps",
                "deployments",
                "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale",
                "patch",
                "patchAppsV1NamespacedDeploymentScale",
            ),
        ] {
            assert_eq!(id(group, plural, template, method), wanted);
        }
        assert_eq!(group_name("rbac.authorization.k8s.io", "v1"), "RbacAuthorizationV1");
        assert_eq!(tag("coordination.k8s.io", "v1"), "coordination_v1");
    }

    #[test]
    fn no_operation_has_another_ones_name() {
        let mut ids = std::collections::HashSet::new();
        for kind in registry::all() {
            for path in of_kind(kind) {
                for operation in path.operations {
                    assert!(ids.insert(operation.id.clone()), "{} of {}", operation.id, path.template);
                }
            }
        }
    }
}
