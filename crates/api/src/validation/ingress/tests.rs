use serde_json::{Value, json};

use super::*;
use crate::validation::common::texts;

fn of(object: Value) -> Ingress {
    serde_json::from_value(object).unwrap()
}

fn errors(spec: Value) -> Vec<String> {
    texts(&ingress(&of(json!({ "spec": spec }))))
}

fn service() -> Value {
    json!({ "service": { "name": "web", "port": { "number": 80 } } })
}

fn with_path(path: Value) -> Value {
    json!({ "rules": [{ "http": { "paths": [path] } }] })
}

#[test]
fn good_ingresses_pass() {
    let resource = json!({ "resource": { "apiGroup": "example.com", "kind": "Bucket", "name": "b" } });
    for spec in [
        json!({ "defaultBackend": service() }),
        json!({ "defaultBackend": resource, "ingressClassName": "a.b" }),
        json!({ "rules": [{ "host": "a.example.com" }, { "host": "*.example.com" }, {}] }),
        json!({ "rules": [{}], "tls": [{ "hosts": ["*.a", "b"], "secretName": "s" }, {}] }),
        with_path(json!({ "path": "/a", "pathType": "Prefix", "backend": service() })),
        with_path(json!({ "pathType": "ImplementationSpecific", "backend": service() })),
        with_path(json!({ "path": "/", "pathType": "Exact", "backend": {
            "service": { "name": "1web", "port": { "name": "http" } },
        } })),
    ] {
        assert_eq!(errors(spec.clone()), Vec::<String>::new(), "{spec}");
    }
}

#[test]
fn requests_go_somewhere() {
    assert_eq!(
        errors(json!({})),
        ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]
    );
    assert_eq!(
        errors(json!({ "defaultBackend": {} })),
        ["spec.defaultBackend: Invalid value: \"\": resource or service backend is required"]
    );
    let mut both = service();
    both["resource"] = json!({ "kind": "A", "name": "b" });
    assert_eq!(
        errors(json!({ "defaultBackend": both })),
        ["spec.defaultBackend: Invalid value: \"\": cannot set both resource and service backends"]
    );
    assert_eq!(
        errors(json!({ "defaultBackend": { "resource": { "kind": "a/b" } } })),
        [
            "spec.defaultBackend.resource.kind: Invalid value: \"a/b\": may not contain '/'",
            "spec.defaultBackend.resource.name: Required value",
        ]
    );
    assert_eq!(
        errors(json!({ "defaultBackend": { "service": {} } })),
        [
            "spec.defaultBackend.service.name: Required value",
            "spec.defaultBackend: Required value: port name or number is required",
        ]
    );
    let port =
        |port: Value| errors(json!({ "defaultBackend": { "service": { "name": "a", "port": port } } }));
    assert_eq!(
        port(json!({ "name": "http", "number": 80 })),
        ["spec.defaultBackend: Invalid value: \"\": cannot set both port name & port number"]
    );
    assert_eq!(
        port(json!({ "number": 70_000 })),
        [
            "spec.defaultBackend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive"
        ]
    );
    assert_eq!(
        port(json!({ "name": "a--b" })),
        [
            "spec.defaultBackend.service.port.name: Invalid value: \"a--b\": must not contain consecutive hyphens"
        ]
    );
}

#[test]
fn paths_mean_the_same_to_all() {
    let path = |path: &str, kind: &str| {
        errors(with_path(json!({ "path": path, "pathType": kind, "backend": service() })))
    };
    let at = "spec.rules[0].http.paths[0]";
    assert_eq!(path("a", "Exact"), [format!("{at}.path: Invalid value: \"a\": must be an absolute path")]);
    assert_eq!(path("a", "ImplementationSpecific").len(), 1);
    assert_eq!(
        path("/a//b/..", "Prefix"),
        [
            format!("{at}.path: Invalid value: \"/a//b/..\": must not contain '//'"),
            format!("{at}.path: Invalid value: \"/a//b/..\": cannot end with '/..'"),
        ]
    );
    assert_eq!(
        path("/", "Regex"),
        [format!(
            "{at}.pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \
             \"ImplementationSpecific\", \"Prefix\""
        )]
    );
    assert_eq!(
        errors(with_path(json!({}))),
        [format!("{at}.pathType: Required value: pathType must be specified")]
    );
    assert_eq!(errors(json!({ "rules": [{ "http": {} }] })), ["spec.rules[0].http.paths: Required value"]);
}

#[test]
fn hosts_are_names() {
    let host = |host: &str| errors(json!({ "rules": [{ "host": host }] }));
    assert_eq!(
        host("10.0.0.1"),
        ["spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"]
    );
    assert_eq!(host("a_b").len(), 1);
    assert!(host("a.*")[0].contains("a wildcard DNS-1123 subdomain must start with '*.'"));
    let tls = errors(json!({ "rules": [{}], "tls": [{ "hosts": ["A", "*"], "secretName": "a/b" }] }));
    assert_eq!(tls.len(), 3);
    assert!(tls[0].starts_with("spec.tls[0].hosts[0]: Invalid value: \"A\": a lowercase RFC 1123 subdomain"));
    assert!(tls[2].starts_with("spec.tls[0].secretName: Invalid value: \"a/b\""));
}

#[test]
fn a_class_is_named_once() {
    let named = |annotated: &str| {
        texts(&ingress(&of(json!({
            "metadata": { "annotations": { "kubernetes.io/ingress.class": annotated } },
            "spec": { "ingressClassName": "a", "rules": [{}] },
        }))))
    };
    assert_eq!(named("a"), Vec::<String>::new());
    assert_eq!(
        named("b"),
        [
            "annotations.kubernetes.io/ingress.class: Invalid value: \"b\": must match `ingressClassName` when both \
             are specified"
        ]
    );
}

#[test]
fn what_was_wrong_before_may_stay() {
    let secret = |name: &str| of(json!({ "spec": { "rules": [{}], "tls": [{ "secretName": name }] } }));
    assert_eq!(update(&secret("a/c"), &secret("a/b")), []);
    assert_eq!(update(&secret("a/c"), &secret("a")).len(), 1);
    let rule = |host: &str| of(json!({ "spec": { "rules": [{ "host": host, "http": {} }] } }));
    assert_eq!(update(&rule("*.a"), &rule("*.a")), []);
    assert_eq!(update(&rule("b.a"), &rule("*.a")).len(), 1);
}

#[test]
fn the_status_has_addresses_or_names() {
    let status = |point: Value| of(json!({ "status": { "loadBalancer": { "ingress": [point] } } }));
    let (good, empty) = (status(json!({ "ip": "192.0.2.1", "hostname": "a.b" })), Ingress::default());
    assert_eq!(status_update(&good, &empty), []);
    let odd = status(json!({ "ip": "192.0.02.1", "hostname": "192.0.2.1" }));
    let at = "status.loadBalancer.ingress[0]";
    assert_eq!(
        texts(&status_update(&odd, &empty)),
        [
            format!("{at}.ip: Invalid value: \"192.0.02.1\": must not have leading 0s"),
            format!("{at}.hostname: Invalid value: \"192.0.2.1\": must be a DNS name, not an IP address"),
        ]
    );
    assert_eq!(status_update(&odd, &odd).len(), 1);
}
