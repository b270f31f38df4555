//! Classes of storage, and of the attributes of volumes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    common::{Unique, check, enumerated, immutable},
    names,
};
use crate::core::v1::{TopologySelectorLabelRequirement, TopologySelectorTerm};
use crate::field::{Error, ErrorList, Path};
use crate::storage::v1::{StorageClass, VolumeAttributesClass};

/// How many parameters there may be.
const PARAMETERS: usize = 512;
/// All of them together, names and values.
const PARAMETERS_SIZE: usize = 256 << 10;

type Parameters = BTreeMap<String, String>;

pub(crate) fn class(class: &StorageClass) -> ErrorList {
    let mut errors = ErrorList::new();
    driver(&mut errors, &class.provisioner, &Path::new("provisioner"));
    parameters(&mut errors, &class.parameters, &Path::new("parameters"));
    if let Some(policy) = class.reclaim_policy.as_deref().filter(|policy| !policy.is_empty()) {
        enumerated(&mut errors, &Path::new("reclaimPolicy"), policy, "storage.v1.StorageClass.reclaimPolicy");
    }
    let path = Path::new("volumeBindingMode");
    match &class.volume_binding_mode {
        Some(mode) => enumerated(&mut errors, &path, mode, "storage.v1.StorageClass.volumeBindingMode"),
        None => errors.push(Error::required(path, "")),
    }
    topologies(&mut errors, &class.allowed_topologies, &Path::new("allowedTopologies"));
    errors
}

/// Who makes the volumes.
fn driver(errors: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(Error::required(path.clone(), ""));
    } else {
        // Shown as it is checked, in lower case.
        let lower = name.to_lowercase();
        check(errors, path, &lower, names::qualified_name(&lower));
    }
}

fn parameters(errors: &mut ErrorList, parameters: &Parameters, path: &Path) {
    if parameters.len() > PARAMETERS {
        errors.push(Error::too_long(path.clone(), PARAMETERS));
        return;
    }
    if parameters.contains_key("") {
        errors.push(Error::invalid(path.clone(), "", "field can not be empty."));
    }
    if parameters.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > PARAMETERS_SIZE {
        errors.push(Error::too_long(path.clone(), PARAMETERS_SIZE));
    }
}

fn topologies(errors: &mut ErrorList, terms: &[TopologySelectorTerm], path: &Path) {
    let mut seen = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        let path = path.index(i).child("matchLabelExpressions");
        let mut keys = Unique::new();
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (i, expression) in term.match_label_expressions.iter().enumerate() {
            let path = path.index(i);
            requirement(errors, expression, &path);
            keys.check(errors, &path.child("key"), &expression.key);
            wanted.insert(&expression.key, expression.values.iter().map(String::as_str).collect());
        }
        if seen.contains(&wanted) {
            errors.push(Error::duplicate(path, ""));
        }
        seen.push(wanted);
    }
}

fn requirement(errors: &mut ErrorList, expression: &TopologySelectorLabelRequirement, path: &Path) {
    let values = path.child("values");
    if expression.values.is_empty() {
        errors.push(Error::required(values.clone(), ""));
    }
    let mut unique = Unique::new();
    for (i, value) in expression.values.iter().enumerate() {
        unique.check(errors, &values.index(i), value);
    }
    check(errors, &path.child("key"), &expression.key, names::qualified_name(&expression.key));
}

pub(crate) fn update(new: &StorageClass, old: &StorageClass) -> ErrorList {
    let mut errors = class(new);
    stays(&mut errors, "parameters", &new.parameters, &old.parameters);
    stays(&mut errors, "provisioner", &new.provisioner, &old.provisioner);
    stays(&mut errors, "reclaimPolicy", &new.reclaim_policy, &old.reclaim_policy);
    let path = Path::new("volumeBindingMode");
    immutable(&mut errors, &path, &new.volume_binding_mode, &old.volume_binding_mode);
    errors
}

fn stays<T: PartialEq>(errors: &mut ErrorList, field: &str, new: &T, old: &T) {
    if new != old {
        errors.push(Error::forbidden(Path::new(field), format!("updates to {field} are forbidden.")));
    }
}

pub(crate) fn attributes(class: &VolumeAttributesClass) -> ErrorList {
    let mut errors = ErrorList::new();
    driver(&mut errors, &class.driver_name, &Path::new("driverName"));
    let path = Path::new("parameters");
    parameters(&mut errors, &class.parameters, &path);
    if class.parameters.is_empty() {
        errors.push(Error::required(path, "must contain at least one key/value pair"));
    }
    errors
}

pub(crate) fn attributes_update(new: &VolumeAttributesClass, old: &VolumeAttributesClass) -> ErrorList {
    let mut errors = ErrorList::new();
    stays(&mut errors, "driverName", &new.driver_name, &old.driver_name);
    stays(&mut errors, "parameters", &new.parameters, &old.parameters);
    errors.extend(attributes(new));
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(object: Value) -> StorageClass {
        let mut class: StorageClass = serde_json::from_value(object).unwrap();
        crate::defaults::storage::class(&mut class);
        class
    }

    #[test]
    fn a_class_has_a_provisioner() {
        let good = of(json!({
            "provisioner": "Example.com/disk", "parameters": { "a": "" },
            "allowedTopologies": [{ "matchLabelExpressions": [{ "key": "zone", "values": ["a", "b"] }] }],
        }));
        assert_eq!(class(&good), []);
        assert_eq!(texts(&class(&of(json!({})))), ["provisioner: Required value"]);
        let wrong = of(json!({
            "provisioner": "a b", "parameters": { "": "a" }, "reclaimPolicy": "Recycle", "volumeBindingMode": "Late",
        }));
        let errors = texts(&class(&wrong));
        assert!(
            errors[0].starts_with("provisioner: Invalid value: \"a b\": name part must consist of"),
            "{errors:?}"
        );
        assert_eq!(
            errors[1..],
            [
                "parameters: Invalid value: \"\": field can not be empty.",
                "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
                "volumeBindingMode: Unsupported value: \"Late\": supported values: \"Immediate\", \
                 \"WaitForFirstConsumer\"",
            ]
        );
    }

    #[test]
    fn parameters_are_bounded() {
        let many: Parameters = (0..=512).map(|i| (i.to_string(), String::new())).collect();
        let mut errors = ErrorList::new();
        parameters(&mut errors, &many, &Path::new("parameters"));
        parameters(&mut errors, &[("a".into(), "x".repeat(256 << 10))].into(), &Path::new("parameters"));
        assert_eq!(
            texts(&errors),
            [
                "parameters: Too long: may not be more than 512 bytes",
                "parameters: Too long: may not be more than 262144 bytes",
            ]
        );
    }

    #[test]
    fn topologies_differ() {
        let with =
            |terms: Value| texts(&class(&of(json!({ "provisioner": "p", "allowedTopologies": terms }))));
        let term = json!({ "matchLabelExpressions": [{ "key": "zone", "values": ["a", "b"] }] });
        let same = json!({ "matchLabelExpressions": [{ "key": "zone", "values": ["b", "a"] }] });
        assert_eq!(
            with(json!([term, same])),
            ["allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\""]
        );
        let at = "allowedTopologies[0].matchLabelExpressions";
        let odd = json!([{ "key": "zone", "values": ["a", "a"] }, { "key": "zone", "values": [] }]);
        assert_eq!(
            with(json!([{ "matchLabelExpressions": odd }])),
            [
                format!("{at}[0].values[1]: Duplicate value: \"a\""),
                format!("{at}[1].values: Required value"),
                format!("{at}[1].key: Duplicate value: \"zone\""),
            ]
        );
    }

    #[test]
    fn a_class_stays_what_it_is() {
        let old = of(json!({ "provisioner": "p" }));
        assert_eq!(update(&of(json!({ "provisioner": "p", "allowVolumeExpansion": true })), &old), []);
        let new = of(json!({
            "provisioner": "q", "parameters": { "a": "b" }, "reclaimPolicy": "Retain",
            "volumeBindingMode": "WaitForFirstConsumer",
        }));
        assert_eq!(
            texts(&update(&new, &old)),
            [
                "parameters: Forbidden: updates to parameters are forbidden.",
                "provisioner: Forbidden: updates to provisioner are forbidden.",
                "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
                "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
            ]
        );
    }

    #[test]
    fn attributes_are_there_and_stay() {
        let of = |object: Value| -> VolumeAttributesClass { serde_json::from_value(object).unwrap() };
        let good = of(json!({ "driverName": "d", "parameters": { "iops": "1" } }));
        assert_eq!(attributes(&good), []);
        assert_eq!(
            texts(&attributes_update(&of(json!({})), &good)),
            [
                "driverName: Forbidden: updates to driverName are forbidden.",
                "parameters: Forbidden: updates to parameters are forbidden.",
                "driverName: Required value",
                "parameters: Required value: must contain at least one key/value pair",
            ]
        );
    }
}
