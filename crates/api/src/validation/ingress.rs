//! Ingresses.

use std::net::IpAddr;

use super::{
    addresses,
    common::{check, enumerated, required},
    names,
};
use crate::Resource as _;
use crate::core::v1::TypedLocalObjectReference;
use crate::field::{Error, ErrorList, Path};
use crate::networking::v1::{
    HttpIngressPath, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec, IngressTls,
};

/// Older than `ingressClassName`, and with the same meaning.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// What a path must not have within it, since proxies do not agree on what it means.
const UNSAFE_PARTS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const UNSAFE_ENDS: [&str; 2] = ["/..", "/."];
const NOT_AN_ADDRESS: &str = "must be a DNS name, not an IP address";

/// What is not checked, since it was wrong before.
#[derive(Clone, Copy, Default)]
struct Lenience {
    secret_names: bool,
    wildcard_rules: bool,
}

pub(crate) fn ingress(ingress: &Ingress) -> ErrorList {
    let mut errors = general(ingress, Lenience::default());
    let class = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_ref());
    let annotated = ingress.meta().annotations.get(CLASS_ANNOTATION);
    if let Some((annotated, _)) = annotated.zip(class).filter(|(annotated, class)| annotated != class) {
        let detail = "must match `ingressClassName` when both are specified";
        let path = Path::new("annotations").child(CLASS_ANNOTATION);
        errors.push(Error::invalid(path, annotated.as_str(), detail));
    }
    errors
}

pub(crate) fn update(new: &Ingress, old: &Ingress) -> ErrorList {
    let empty = IngressSpec::default();
    let old = old.spec.as_ref().unwrap_or(&empty);
    let wrong_rule = |rule: &IngressRule| {
        let mut errors = ErrorList::new();
        rule_value(&mut errors, rule, &Path::new("rule"));
        rule.host.contains('*') && !errors.is_empty()
    };
    let lenience = Lenience {
        secret_names: old.tls.iter().any(|tls| !secret_name_problems(tls).is_empty()),
        wildcard_rules: old.rules.iter().any(wrong_rule),
    };
    general(new, lenience)
}

fn general(ingress: &Ingress, lenience: Lenience) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = IngressSpec::default();
    let spec = ingress.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    if spec.rules.is_empty() && spec.default_backend.is_none() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        errors.push(Error::invalid(path.clone(), serde_json::Value::Null, detail));
    }
    if let Some(default) = &spec.default_backend {
        backend(&mut errors, default, &path.child("defaultBackend"));
    }
    for (i, rule) in spec.rules.iter().enumerate() {
        let path = path.child("rules").index(i);
        host(&mut errors, rule, &path.child("host"));
        if !(lenience.wildcard_rules && rule.host.contains('*')) {
            rule_value(&mut errors, rule, &path);
        }
    }
    for (i, tls) in spec.tls.iter().enumerate() {
        certificate(&mut errors, tls, lenience, &path.child("tls").index(i));
    }
    if let Some(class) = &spec.ingress_class_name {
        check(&mut errors, &path.child("ingressClassName"), class, names::dns1123_subdomain(class));
    }
    errors
}

fn host_problems(host: &str) -> names::Problems {
    if host.contains('*') { names::wildcard_dns1123_subdomain(host) } else { names::dns1123_subdomain(host) }
}

fn host(errors: &mut ErrorList, rule: &IngressRule, path: &Path) {
    if rule.host.is_empty() {
        return;
    }
    if rule.host.parse::<IpAddr>().is_ok() {
        errors.push(Error::invalid(path.clone(), rule.host.as_str(), NOT_AN_ADDRESS));
    }
    check(errors, path, &rule.host, host_problems(&rule.host));
}

fn rule_value(errors: &mut ErrorList, rule: &IngressRule, path: &Path) {
    let Some(http) = rule.ingress_rule_value.as_ref().and_then(|value| value.http.as_ref()) else { return };
    let path = path.child("http").child("paths");
    if http.paths.is_empty() {
        errors.push(Error::required(path.clone(), ""));
    }
    for (i, one) in http.paths.iter().enumerate() {
        http_path(errors, one, &path.index(i));
    }
}

fn http_path(errors: &mut ErrorList, path: &HttpIngressPath, at: &Path) {
    let Some(kind) = path.path_type.as_deref() else {
        errors.push(Error::required(at.child("pathType"), "pathType must be specified"));
        return;
    };
    let (field, text) = (at.child("path"), path.path.as_str());
    let invalid = |detail: String| Error::invalid(field.clone(), text, detail);
    let absolute = || invalid("must be an absolute path".to_owned());
    match kind {
        "Exact" | "Prefix" => {
            if !text.starts_with('/') {
                errors.push(absolute());
            }
            let within = UNSAFE_PARTS.iter().filter(|part| text.contains(**part));
            errors.extend(within.map(|part| invalid(format!("must not contain '{part}'"))));
            let at_end = UNSAFE_ENDS.iter().filter(|end| text.ends_with(**end));
            errors.extend(at_end.map(|end| invalid(format!("cannot end with '{end}'"))));
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                errors.push(absolute());
            }
        }
        _ => enumerated(errors, &at.child("pathType"), kind, "networking.v1.HTTPIngressPath.pathType"),
    }
    let empty = IngressBackend::default();
    backend(errors, path.backend.as_ref().unwrap_or(&empty), &at.child("backend"));
}

fn backend(errors: &mut ErrorList, backend: &IngressBackend, path: &Path) {
    match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => {
            errors.push(Error::invalid(path.clone(), "", "cannot set both resource and service backends"));
        }
        (Some(resource), None) => typed_reference(errors, resource, &path.child("resource")),
        (None, Some(service)) => service_backend(errors, service, path),
        (None, None) => {
            errors.push(Error::invalid(path.clone(), "", "resource or service backend is required"));
        }
    }
}

fn service_backend(errors: &mut ErrorList, service: &IngressServiceBackend, path: &Path) {
    let below = path.child("service");
    let name = below.child("name");
    if service.name.is_empty() {
        errors.push(Error::required(name, ""));
    } else {
        check(errors, &name, &service.name, names::dns1123_label(&service.name));
    }
    let port = service.port.clone().unwrap_or_default();
    match (port.name.as_str(), port.number) {
        ("", 0) => errors.push(Error::required(path.clone(), "port name or number is required")),
        ("", number) => {
            let path = below.child("port").child("number");
            let problems = names::port_number(number).into_iter();
            errors.extend(problems.map(|problem| Error::invalid(path.clone(), number, problem)));
        }
        (name, 0) => check(errors, &below.child("port").child("name"), name, names::port_name(name)),
        _ => errors.push(Error::invalid(path.clone(), "", "cannot set both port name & port number")),
    }
}

fn typed_reference(errors: &mut ErrorList, reference: &TypedLocalObjectReference, path: &Path) {
    if let Some(group) = &reference.api_group {
        check(errors, &path.child("apiGroup"), group, names::dns1123_subdomain(group));
    }
    for (field, text) in [("kind", &reference.kind), ("name", &reference.name)] {
        required_segment(errors, text, &path.child(field));
    }
}

/// A text that becomes a part of a path, and must be there.
pub(super) fn required_segment(errors: &mut ErrorList, text: &str, path: &Path) {
    required(errors, path, text);
    check(errors, path, text, names::path_segment(text));
}

fn secret_name_problems(tls: &IngressTls) -> names::Problems {
    let name = &tls.secret_name;
    if name.is_empty() { names::Problems::new() } else { names::dns1123_subdomain(name) }
}

fn certificate(errors: &mut ErrorList, tls: &IngressTls, lenience: Lenience, path: &Path) {
    for (i, host) in tls.hosts.iter().enumerate() {
        check(errors, &path.child("hosts").index(i), host, host_problems(host));
    }
    if !lenience.secret_names {
        check(errors, &path.child("secretName"), &tls.secret_name, secret_name_problems(tls));
    }
}

pub(crate) fn status_update(new: &Ingress, old: &Ingress) -> ErrorList {
    let mut errors = ErrorList::new();
    let points = |ingress: &Ingress| {
        let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.clone());
        balancer.unwrap_or_default().ingress
    };
    let before = points(old);
    for (i, point) in points(new).iter().enumerate() {
        let path = Path::new("status").child("loadBalancer").child("ingress").index(i);
        if !point.ip.is_empty() && !before.iter().any(|other| other.ip == point.ip) {
            check(&mut errors, &path.child("ip"), &point.ip, addresses::strict_ip(&point.ip));
        }
        if !point.hostname.is_empty() {
            let path = path.child("hostname");
            check(&mut errors, &path, &point.hostname, names::dns1123_subdomain(&point.hostname));
            if point.hostname.parse::<IpAddr>().is_ok() {
                errors.push(Error::invalid(path, point.hostname.as_str(), NOT_AN_ADDRESS));
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests;
