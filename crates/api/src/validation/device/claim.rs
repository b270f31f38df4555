//! What is asked for: claims, their templates, and classes of devices.

use super::super::common::{check, immutable, one_of, required};
use super::super::{meta, names};
use super::{driver, fully_qualified, items, label, object, tolerations, unique};
use crate::field::{Error, ErrorList, Path};
use crate::resource::v1::{
    DeviceClaim, DeviceClass, DeviceClassSpec, DeviceConfiguration, DeviceConstraint, DeviceRequest,
    DeviceSelector, ExactDeviceRequest, ResourceClaim, ResourceClaimTemplate,
};

const REQUESTS_MAX: usize = 32;
const SUB_REQUESTS_MAX: usize = 8;
const CONSTRAINTS_MAX: usize = 32;
pub(super) const CONFIG_MAX: usize = 32;
const SELECTORS_MAX: usize = 32;
const EXPRESSION_MAX: usize = 10 << 10;

pub(crate) fn claim(claim: &ResourceClaim) -> ErrorList {
    let mut errors = ErrorList::new();
    let devices = claim.spec.clone().unwrap_or_default().devices.unwrap_or_default();
    devices_of(&mut errors, &devices, &Path::new("spec").child("devices"));
    errors
}

/// A claim does not change, and so is not looked at again.
pub(crate) fn claim_update(new: &ResourceClaim, old: &ResourceClaim) -> ErrorList {
    let mut errors = ErrorList::new();
    immutable(&mut errors, &Path::new("spec"), &new.spec, &old.spec);
    errors
}

pub(crate) fn template(template: &ResourceClaimTemplate) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = template.spec.clone().unwrap_or_default();
    let path = Path::new("spec");
    let meta = spec.metadata.unwrap_or_default();
    meta::labels(&mut errors, &meta.labels, &path.child("metadata").child("labels"));
    meta::annotations(&mut errors, &meta.annotations, &path.child("metadata").child("annotations"));
    let devices = spec.spec.unwrap_or_default().devices.unwrap_or_default();
    devices_of(&mut errors, &devices, &path.child("spec").child("devices"));
    errors
}

pub(crate) fn template_update(new: &ResourceClaimTemplate, old: &ResourceClaimTemplate) -> ErrorList {
    let mut errors = ErrorList::new();
    immutable(&mut errors, &Path::new("spec"), &new.spec, &old.spec);
    errors
}

pub(crate) fn class(class: &DeviceClass) -> ErrorList {
    class_spec(class.spec.as_ref(), None)
}

pub(crate) fn class_update(new: &DeviceClass, old: &DeviceClass) -> ErrorList {
    class_spec(new.spec.as_ref(), old.spec.as_ref())
}

fn class_spec(spec: Option<&DeviceClassSpec>, old: Option<&DeviceClassSpec>) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = DeviceClassSpec::default();
    let spec = spec.unwrap_or(&empty);
    let path = Path::new("spec");
    // What is as it was may be longer than what is new.
    let stored = old.is_some_and(|old| old.selectors == spec.selectors);
    selectors(&mut errors, &spec.selectors, stored, &path.child("selectors"));
    let stored = old.is_some_and(|old| old.config == spec.config);
    items(&mut errors, &spec.config, CONFIG_MAX, &path.child("config"), |errors, config, path| {
        configuration(errors, config.device_configuration.as_ref(), stored, path);
    });
    if let Some(name) = spec.extended_resource_name.as_deref().filter(|name| !is_extended(name)) {
        let detail = "must be a valid extended resource name";
        errors.push(Error::invalid(path.child("extendedResourceName"), name, detail));
    }
    errors
}

/// A resource of a vendor, whose quota has a name, too.
fn is_extended(name: &str) -> bool {
    name.contains('/')
        && !name.contains("kubernetes.io/")
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// The names of a claim's requests, each with those of its subrequests where it has some.
pub(super) struct Requests<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Requests<'a> {
    pub(super) fn of(claim: &'a DeviceClaim) -> Self {
        let names = |request: &'a DeviceRequest| {
            (request.name.as_str(), request.first_available.iter().map(|sub| sub.name.as_str()).collect())
        };
        Self(claim.requests.iter().map(names).collect())
    }

    fn has(&self, name: &str) -> bool {
        let (request, sub) = name.split_once('/').map_or((name, None), |(request, sub)| (request, Some(sub)));
        let mut found = self.0.iter().filter(|(name, _)| *name == request);
        found.any(|(_, subs)| sub.is_none_or(|sub| subs.contains(&sub)))
    }

    /// A reference to a request, or to one of its subrequests.
    pub(super) fn reference(&self, errors: &mut ErrorList, name: &str, path: &Path) {
        let unknown = "must be the name of a request in the claim or the name of a request and a subrequest separated \
                       by '/'";
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() <= 2 {
            parts.iter().for_each(|part| label(errors, part, path));
        }
        if parts.len() > 2 || !self.has(name) {
            errors.push(Error::invalid(path.clone(), name, unknown));
        }
    }

    /// References that a constraint or a set-up is about.
    pub(super) fn references(&self, errors: &mut ErrorList, names: &[String], path: &Path) {
        let path = path.child("requests");
        items(errors, names, REQUESTS_MAX, &path, |errors, name, path| self.reference(errors, name, path));
        if names.len() <= REQUESTS_MAX {
            unique(errors, names.iter().map(String::as_str), REQUESTS_MAX, &path);
        }
    }
}

fn devices_of(errors: &mut ErrorList, claim: &DeviceClaim, path: &Path) {
    let names = Requests::of(claim);
    let of_requests = path.child("requests");
    items(errors, &claim.requests, REQUESTS_MAX, &of_requests, request);
    if claim.requests.len() <= REQUESTS_MAX {
        unique(
            errors,
            claim.requests.iter().map(|request| request.name.as_str()),
            REQUESTS_MAX,
            &of_requests,
        );
    }
    items(errors, &claim.constraints, CONSTRAINTS_MAX, &path.child("constraints"), |errors, one, path| {
        constraint(errors, one, &names, path);
    });
    items(errors, &claim.config, CONFIG_MAX, &path.child("config"), |errors, config, path| {
        names.references(errors, &config.requests, path);
        configuration(errors, config.device_configuration.as_ref(), false, path);
    });
}

fn request(errors: &mut ErrorList, request: &DeviceRequest, path: &Path) {
    label(errors, &request.name, &path.child("name"));
    match (&request.exactly, request.first_available.as_slice()) {
        (None, []) => {
            let detail = "exactly one of `exactly` or `firstAvailable` is required";
            errors.push(Error::required(path.clone(), detail));
        }
        (Some(one), []) => exactly(errors, one, &path.child("exactly")),
        (Some(_), _) => {
            let detail =
                "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
            errors.push(Error::invalid(path.clone(), serde_json::Value::Null, detail));
        }
        (None, some) => {
            let path = path.child("firstAvailable");
            items(errors, some, SUB_REQUESTS_MAX, &path, |errors, sub, path| {
                label(errors, &sub.name, &path.child("name"));
                let same = ExactDeviceRequest {
                    device_class_name: sub.device_class_name.clone(),
                    selectors: sub.selectors.clone(),
                    allocation_mode: sub.allocation_mode.clone(),
                    count: sub.count,
                    tolerations: sub.tolerations.clone(),
                    ..ExactDeviceRequest::default()
                };
                exactly(errors, &same, path);
            });
            if some.len() <= SUB_REQUESTS_MAX {
                unique(errors, some.iter().map(|sub| sub.name.as_str()), SUB_REQUESTS_MAX, &path);
            }
        }
    }
}

fn exactly(errors: &mut ErrorList, request: &ExactDeviceRequest, path: &Path) {
    let of_class = path.child("deviceClassName");
    required(errors, &of_class, &request.device_class_name);
    if !request.device_class_name.is_empty() {
        check(
            errors,
            &of_class,
            &request.device_class_name,
            names::dns1123_subdomain(&request.device_class_name),
        );
    }
    selectors(errors, &request.selectors, false, &path.child("selectors"));
    let (of_mode, of_count) = (path.child("allocationMode"), path.child("count"));
    match request.allocation_mode.as_str() {
        "All" if request.count != 0 => {
            let detail = "must not be specified when allocationMode is 'All'";
            errors.push(Error::invalid(of_count, request.count, detail));
        }
        "ExactCount" if request.count <= 0 => {
            errors.push(Error::invalid(of_count, request.count, "must be greater than zero"));
        }
        mode => one_of(errors, &of_mode, mode, &["All", "ExactCount"]),
    }
    tolerations(errors, &request.tolerations, &path.child("tolerations"));
}

fn selectors(errors: &mut ErrorList, selectors: &[DeviceSelector], stored: bool, path: &Path) {
    items(errors, selectors, SELECTORS_MAX, path, |errors, selector, path| {
        let path = path.child("cel");
        let Some(cel) = &selector.cel else {
            errors.push(Error::required(path, ""));
            return;
        };
        let path = path.child("expression");
        required(errors, &path, cel.expression.trim());
        if !stored && cel.expression.len() > EXPRESSION_MAX {
            errors.push(Error::too_long(path, EXPRESSION_MAX));
        }
    });
}

fn constraint(errors: &mut ErrorList, constraint: &DeviceConstraint, names: &Requests<'_>, path: &Path) {
    names.references(errors, &constraint.requests, path);
    if let Some(name) = &constraint.match_attribute {
        fully_qualified(errors, name, &path.child("matchAttribute"));
    } else if let Some(name) = &constraint.distinct_attribute {
        fully_qualified(errors, name, &path.child("distinctAttribute"));
    } else {
        let detail = "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are \
                      set";
        errors.push(Error::required(path.clone(), detail));
    }
}

pub(super) fn configuration(
    errors: &mut ErrorList,
    configuration: Option<&DeviceConfiguration>,
    stored: bool,
    path: &Path,
) {
    let path = path.child("opaque");
    let Some(opaque) = configuration.and_then(|configuration| configuration.opaque.as_ref()) else {
        errors.push(Error::required(path, ""));
        return;
    };
    driver(errors, &opaque.driver, &path.child("driver"));
    object(errors, opaque.parameters.as_ref(), stored, &path.child("parameters"));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(devices: Value) -> Vec<String> {
        let mut object = serde_json::from_value(json!({ "spec": { "devices": devices } })).unwrap();
        crate::defaults::resource::claim(&mut object);
        texts(&claim(&object))
    }

    fn exact(more: Value) -> Value {
        let mut request = json!({ "deviceClassName": "gpu" });
        for (field, value) in more.as_object().unwrap() {
            request[field] = value.clone();
        }
        json!({ "name": "a", "exactly": request })
    }

    #[test]
    fn a_request_wants_one_thing() {
        assert_eq!(of(json!({})), Vec::<String>::new());
        assert_eq!(of(json!({ "requests": [exact(json!({}))] })), Vec::<String>::new());
        let sub = json!({ "name": "s", "deviceClassName": "gpu" });
        assert_eq!(
            of(json!({ "requests": [{ "name": "a", "firstAvailable": [sub] }] })),
            Vec::<String>::new()
        );
        let mut both = exact(json!({}));
        both["firstAvailable"] = json!([sub]);
        assert_eq!(
            of(json!({ "requests": [{ "name": "b" }, both, exact(json!({}))] })),
            [
                "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
                "spec.devices.requests[1]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is \
                 required, but multiple fields are set",
                "spec.devices.requests[2]: Duplicate value: \"a\"",
            ]
        );
        let many: Vec<Value> = (0..33).map(|i| json!({ "name": format!("r{i}") })).collect();
        assert_eq!(
            of(json!({ "requests": many })),
            ["spec.devices.requests: Too many: 33: must have at most 32 items"]
        );
    }

    #[test]
    fn a_request_says_which_and_how_many() {
        for (more, text) in [
            (json!({ "deviceClassName": "" }), "deviceClassName: Required value"),
            (
                json!({ "allocationMode": "All", "count": 2 }),
                "count: Invalid value: 2: must not be specified when allocationMode is 'All'",
            ),
            (json!({ "count": -1 }), "count: Invalid value: -1: must be greater than zero"),
            (
                json!({ "allocationMode": "Some" }),
                "allocationMode: Unsupported value: \"Some\": supported values: \"All\", \"ExactCount\"",
            ),
            (json!({ "selectors": [{}] }), "selectors[0].cel: Required value"),
            (json!({ "selectors": [{ "cel": {} }] }), "selectors[0].cel.expression: Required value"),
            (
                json!({ "selectors": [{ "cel": { "expression": "x".repeat(10241) } }] }),
                "selectors[0].cel.expression: Too long: may not be more than 10240 bytes",
            ),
        ] {
            let found = of(json!({ "requests": [exact(more)] }));
            assert_eq!(found, [format!("spec.devices.requests[0].exactly.{text}")]);
        }
    }

    #[test]
    fn references_are_to_requests() {
        let sub = json!({ "name": "s", "deviceClassName": "gpu" });
        let requests = json!([exact(json!({})), { "name": "b", "firstAvailable": [sub] }]);
        let constraint = json!({ "requests": ["a", "b/s"], "matchAttribute": "example.com/numa" });
        assert_eq!(of(json!({ "requests": requests, "constraints": [constraint] })), Vec::<String>::new());
        let wrong = json!([
            { "requests": ["a", "a", "b/t", "a/b/c"], "distinctAttribute": "numa" }, {},
        ]);
        let found = of(json!({ "requests": requests, "constraints": wrong }));
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found[0].starts_with(
            "spec.devices.constraints[0].requests[2]: Invalid value: \"b/t\": must be the name"
        ));
        assert!(
            found[4].starts_with(
                "spec.devices.constraints[1]: Required value: exactly one of \"matchAttribute\""
            )
        );
        let config =
            json!([{ "requests": ["a"], "opaque": { "driver": "d.example", "parameters": { "x": 1 } } }, {}]);
        assert_eq!(
            of(json!({ "requests": requests, "config": config })),
            ["spec.devices.config[1].opaque: Required value"]
        );
    }

    #[test]
    fn what_is_asked_for_stays() {
        let of = |count: i32| -> ResourceClaim {
            let request = exact(json!({ "count": count }));
            serde_json::from_value(json!({ "spec": { "devices": { "requests": [request] } } })).unwrap()
        };
        assert_eq!(claim_update(&of(1), &of(1)), []);
        let errors = claim_update(&of(2), &of(1));
        assert_eq!((errors.len(), errors[0].path.as_str()), (1, "spec"));
        assert_eq!(errors[0].detail, "field is immutable");
        let template_of = |count: i32| -> ResourceClaimTemplate {
            serde_json::from_value(json!({ "spec": { "spec": of(count).spec } })).unwrap()
        };
        assert_eq!(template_update(&template_of(2), &template_of(1)).len(), 1);
        let wrong =
            json!({ "metadata": { "labels": { "a b": "c" } }, "spec": { "devices": { "requests": [{}] } } });
        let found = template(&serde_json::from_value(json!({ "spec": wrong })).unwrap());
        assert_eq!(found[0].path.as_str(), "spec.metadata.labels");
        assert_eq!(found[1].path.as_str(), "spec.spec.devices.requests[0].name");
    }

    #[test]
    fn a_class_selects_and_sets_up() {
        let of = |spec: Value| -> DeviceClass { serde_json::from_value(json!({ "spec": spec })).unwrap() };
        assert_eq!(class(&of(json!({ "extendedResourceName": "example.com/gpu" }))), []);
        assert_eq!(
            texts(&class(&of(json!({ "extendedResourceName": "cpu", "selectors": [{}] })))),
            [
                "spec.selectors[0].cel: Required value",
                "spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource name",
            ]
        );
        let long = of(json!({ "selectors": [{ "cel": { "expression": "x".repeat(10241) } }] }));
        assert_eq!((class(&long).len(), class_update(&long, &long).len()), (1, 0));
    }
}
