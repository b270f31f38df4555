//! Who serves which group and version.

use super::common::{check, enumerated, required};
use super::names;
use crate::Resource as _;
use crate::apiregistration::v1::{ApiService, ApiServiceSpec};
use crate::field::{Error, ErrorList, Path};

const MAX_GROUP_PRIORITY: i32 = 20_000;
const MAX_VERSION_PRIORITY: i32 = 1_000;
const CONDITION_STATUS: &str =
    "k8s.io.kube_aggregator.pkg.apis.apiregistration.v1.APIServiceCondition.status";

pub(crate) fn service(object: &ApiService) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = ApiServiceSpec::default();
    let spec = object.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    let (name, wanted) = (object.name(), format!("{}.{}", spec.version, spec.group));
    if name != wanted && names::path_segment(name).is_empty() {
        let detail = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
        errors.push(Error::invalid(Path::new("metadata").child("name"), name, detail));
    }
    let of_group = path.child("group");
    if !spec.group.is_empty() {
        check(&mut errors, &of_group, &spec.group, names::dns1123_subdomain(&spec.group));
    } else if spec.version != "v1" {
        let detail = "only v1 may have an empty group and it better be legacy kube";
        errors.push(Error::required(of_group, detail));
    }
    check(&mut errors, &path.child("version"), &spec.version, names::dns1035_label(&spec.version));
    let priorities = [
        ("groupPriorityMinimum", spec.group_priority_minimum, MAX_GROUP_PRIORITY),
        ("versionPriority", spec.version_priority, MAX_VERSION_PRIORITY),
    ];
    for (field, priority, max) in priorities {
        if !(1..=max).contains(&priority) {
            // The largest is fine; the text is upstream's.
            let detail = format!("must be positive and less than {max}");
            errors.push(Error::invalid(path.child(field), priority, detail));
        }
    }
    trust(&mut errors, spec, &path);
    errors
}

/// How the service that serves it is found and trusted.
fn trust(errors: &mut ErrorList, spec: &ApiServiceSpec, path: &Path) {
    let (of_bundle, of_skip) = (path.child("caBundle"), path.child("insecureSkipTLSVerify"));
    let Some(service) = &spec.service else {
        if !spec.ca_bundle.is_empty() {
            let shown = format!("{} bytes", spec.ca_bundle.len());
            errors.push(Error::invalid(of_bundle, shown, "local APIServices may not have a caBundle"));
        }
        if spec.insecure_skip_tls_verify {
            let detail = "local APIServices may not have insecureSkipTLSVerify";
            errors.push(Error::invalid(of_skip, true, detail));
        }
        return;
    };
    let of_service = path.child("service");
    required(errors, &of_service.child("namespace"), &service.namespace);
    required(errors, &of_service.child("name"), &service.name);
    if spec.insecure_skip_tls_verify && !spec.ca_bundle.is_empty() {
        errors.push(Error::invalid(of_skip, true, "may not be true if caBundle is present"));
    }
}

pub(crate) fn status(object: &ApiService) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("status").child("conditions");
    for (i, condition) in object.status.iter().flat_map(|status| &status.conditions).enumerate() {
        enumerated(&mut errors, &path.index(i).child("status"), &condition.status, CONDITION_STATUS);
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(name: &str, spec: Value) -> Vec<String> {
        let mut whole = json!({
            "group": "a.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
        });
        for (field, value) in spec.as_object().unwrap() {
            whole[field] = value.clone();
        }
        let object = json!({ "metadata": { "name": name }, "spec": whole });
        texts(&service(&serde_json::from_value(object).unwrap()))
    }

    #[test]
    fn the_name_is_version_and_group() {
        assert_eq!(of("v1.a.example", json!({})), Vec::<String>::new());
        assert_eq!(of("v1.", json!({ "group": "" })), Vec::<String>::new());
        assert_eq!(
            of("a", json!({})),
            [
                "metadata.name: Invalid value: \"a\": must be `spec.version+\".\"+spec.group`: \"v1.a.example\""
            ]
        );
        assert_eq!(
            of("v2.", json!({ "group": "", "version": "v2" })),
            ["spec.group: Required value: only v1 may have an empty group and it better be legacy kube"]
        );
    }

    #[test]
    fn priorities_are_in_their_ranges() {
        assert_eq!(
            of("v1.a.example", json!({ "groupPriorityMinimum": 0, "versionPriority": 1001 })),
            [
                "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
                "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
            ]
        );
    }

    #[test]
    fn a_service_is_trusted_by_its_certificates() {
        assert_eq!(
            of("v1.a.example", json!({ "caBundle": "eA==", "insecureSkipTLSVerify": true })),
            [
                "spec.caBundle: Invalid value: \"1 bytes\": local APIServices may not have a caBundle",
                "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have \
                 insecureSkipTLSVerify",
            ]
        );
        let both = json!({ "service": {}, "caBundle": "eA==", "insecureSkipTLSVerify": true });
        assert_eq!(
            of("v1.a.example", both),
            [
                "spec.service.namespace: Required value",
                "spec.service.name: Required value",
                "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
            ]
        );
    }

    #[test]
    fn a_condition_holds_or_not() {
        let conditions = json!([{ "type": "Available", "status": "True" }, { "type": "a", "status": "x" }]);
        let object = serde_json::from_value(json!({ "status": { "conditions": conditions } })).unwrap();
        let errors = status(&object);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].path.as_str(), "status.conditions[1].status");
    }
}
