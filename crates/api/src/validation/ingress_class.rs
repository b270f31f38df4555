//! Ingress classes.

use super::{
    common::{check, enumerated, immutable},
    ingress::required_segment,
    names,
};
use crate::field::{Error, ErrorList, Path};
use crate::networking::v1::{IngressClass, IngressClassParametersReference, IngressClassSpec};

const CONTROLLER_MAX: usize = 250;

pub(crate) fn class(class: &IngressClass) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = IngressClassSpec::default();
    let spec = class.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    controller(&mut errors, &spec.controller, &path.child("controller"));
    if let Some(parameters) = &spec.parameters {
        reference(&mut errors, parameters, &path.child("parameters"));
    }
    errors
}

/// A domain with a path.
fn controller(errors: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    if name.len() > CONTROLLER_MAX {
        errors.push(Error::too_long(path.clone(), CONTROLLER_MAX));
    }
    match name.split_once('/') {
        Some((host, rest)) if !host.is_empty() && !rest.is_empty() => {
            check(errors, path, host, names::dns1123_subdomain(host));
            check(errors, path, rest, names::http_path(rest));
        }
        _ => {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            errors.push(Error::invalid(path.clone(), name, detail));
        }
    }
}

fn reference(errors: &mut ErrorList, reference: &IngressClassParametersReference, path: &Path) {
    if let Some(group) = &reference.api_group {
        check(errors, &path.child("apiGroup"), group, names::dns1123_subdomain(group));
    }
    for (field, text) in [("kind", &reference.kind), ("name", &reference.name)] {
        required_segment(errors, text, &path.child(field));
    }
    let namespace = path.child("namespace");
    match (reference.scope.as_deref(), &reference.namespace) {
        (None, _) => errors.push(Error::required(path.child("scope"), "")),
        (Some("Namespace"), None) => {
            errors.push(Error::required(namespace, "`parameters.scope` is set to 'Namespace'"));
        }
        (Some("Namespace"), Some(name)) => check(errors, &namespace, name, names::dns1123_label(name)),
        (Some("Cluster"), None) => {}
        (Some("Cluster"), Some(_)) => {
            errors.push(Error::forbidden(namespace, "`parameters.scope` is set to 'Cluster'"));
        }
        (Some(scope), _) => enumerated(
            errors,
            &path.child("scope"),
            scope,
            "networking.v1.IngressClassParametersReference.scope",
        ),
    }
}

pub(crate) fn update(new: &IngressClass, old: &IngressClass) -> ErrorList {
    let mut errors = ErrorList::new();
    let controller = |class: &IngressClass| class.spec.clone().unwrap_or_default().controller;
    immutable(&mut errors, &Path::new("spec").child("controller"), &controller(new), &controller(old));
    errors.extend(class(new));
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(spec: Value) -> IngressClass {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    fn errors(spec: Value) -> Vec<String> {
        texts(&class(&of(spec)))
    }

    #[test]
    fn a_controller_is_a_domain_with_a_path() {
        assert_eq!(errors(json!({ "controller": "example.com/ingress" })), Vec::<String>::new());
        assert_eq!(errors(json!({})), ["spec.controller: Required value"]);
        for wrong in ["example.com", "/a", "a/"] {
            assert_eq!(
                errors(json!({ "controller": wrong })),
                [format!(
                    "spec.controller: Invalid value: \"{wrong}\": must be a domain-prefixed path (such as \
                     \"acme.io/foo\")"
                )]
            );
        }
        assert_eq!(errors(json!({ "controller": "A/b c" })).len(), 2);
        let long = format!("a/{}", "b".repeat(250));
        assert_eq!(
            errors(json!({ "controller": long })),
            ["spec.controller: Too long: may not be more than 250 bytes"]
        );
    }

    #[test]
    fn parameters_live_where_their_scope_says() {
        let of = |more: Value| {
            let mut parameters = json!({ "kind": "K", "name": "n" });
            for (field, value) in more.as_object().unwrap() {
                parameters[field] = value.clone();
            }
            errors(json!({ "controller": "a/b", "parameters": parameters }))
        };
        assert_eq!(of(json!({ "scope": "Cluster", "apiGroup": "a.b" })), Vec::<String>::new());
        assert_eq!(of(json!({ "scope": "Namespace", "namespace": "n" })), Vec::<String>::new());
        let at = "spec.parameters";
        assert_eq!(of(json!({})), [format!("{at}.scope: Required value")]);
        assert_eq!(
            of(json!({ "scope": "Namespace" })),
            [format!("{at}.namespace: Required value: `parameters.scope` is set to 'Namespace'")]
        );
        assert_eq!(
            of(json!({ "scope": "Cluster", "namespace": "n" })),
            [format!("{at}.namespace: Forbidden: `parameters.scope` is set to 'Cluster'")]
        );
        assert_eq!(
            of(json!({ "scope": "World", "kind": "" })),
            [
                format!("{at}.kind: Required value"),
                format!(
                    "{at}.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespace\""
                ),
            ]
        );
    }

    #[test]
    fn the_controller_stays() {
        let (new, old) = (of(json!({ "controller": "a/b" })), of(json!({ "controller": "a/c" })));
        assert_eq!(
            texts(&update(&new, &old)),
            ["spec.controller: Invalid value: \"a/b\": field is immutable"]
        );
    }
}
