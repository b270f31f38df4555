//! Bindings of policies of either kind.

use super::super::common::{Unique, check, enumerated, required_enumerated, shown};
use super::super::{names, selector};
use super::rules;
use crate::admissionregistration::v1::{
    MutatingAdmissionPolicyBinding, ParamRef, ValidatingAdmissionPolicyBinding,
};
use crate::field::{Error, ErrorList, Path};

pub(crate) fn validating(binding: &ValidatingAdmissionPolicyBinding) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = binding.spec.clone().unwrap_or_default();
    let path = Path::new("spec");
    policy_name(&mut errors, &spec.policy_name, &path.child("policyName"));
    parameters(&mut errors, spec.param_ref.as_ref(), &path.child("paramRef"));
    if let Some(resources) = &spec.match_resources {
        rules::match_resources(&mut errors, resources, &path.child("matchResources"));
    }
    actions(&mut errors, &spec.validation_actions, &path.child("validationActions"));
    errors
}

pub(crate) fn mutating(binding: &MutatingAdmissionPolicyBinding) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = binding.spec.clone().unwrap_or_default();
    let path = Path::new("spec");
    policy_name(&mut errors, &spec.policy_name, &path.child("policyName"));
    parameters(&mut errors, spec.param_ref.as_ref(), &path.child("paramRef"));
    if let Some(resources) = &spec.match_resources {
        let path = path.child("matchResources");
        rules::match_resources(&mut errors, resources, &path);
        rules::mutable(
            &mut errors,
            &resources.resource_rules,
            &path.child("resourceRules").child("operations"),
        );
    }
    errors
}

fn policy_name(errors: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(Error::required(path.clone(), ""));
    } else {
        check(errors, path, name, names::dns1123_subdomain(name));
    }
}

fn parameters(errors: &mut ErrorList, parameters: Option<&ParamRef>, path: &Path) {
    let Some(parameters) = parameters else { return };
    let exclusive = "name and selector are mutually exclusive";
    let named = !parameters.name.is_empty();
    if named {
        check(errors, &path.child("name"), &parameters.name, names::path_segment(&parameters.name));
        if parameters.selector.is_some() {
            errors.push(Error::forbidden(path.child("name"), exclusive));
        }
    }
    match &parameters.selector {
        Some(selector) => {
            selector::validate(errors, selector, &path.child("selector"));
            if named {
                errors.push(Error::forbidden(path.child("selector"), exclusive));
            }
        }
        None if !named => {
            errors.push(Error::required(path.clone(), "one of name or selector must be specified"));
        }
        None => {}
    }
    required_enumerated(
        errors,
        &path.child("parameterNotFoundAction"),
        parameters.parameter_not_found_action.as_deref().unwrap_or_default(),
        "admissionregistration.v1.ParamRef.parameterNotFoundAction",
    );
}

fn actions(errors: &mut ErrorList, actions: &[String], path: &Path) {
    let mut unique = Unique::new();
    for (i, action) in actions.iter().enumerate() {
        let field = "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec.validationActions";
        enumerated(errors, &path.index(i), action, field);
        unique.check(errors, &path.index(i), action);
    }
    let has = |action: &str| actions.iter().any(|other| other == action);
    if has("Deny") && has("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the \
                      API response and headers serves no purpose)";
        errors.push(Error::invalid(path.clone(), shown(actions), detail));
    }
    if actions.is_empty() {
        errors.push(Error::required(path.clone(), "at least one validation action is required"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn validating_of(spec: Value) -> Vec<String> {
        texts(&validating(&serde_json::from_value(json!({ "spec": spec })).unwrap()))
    }

    #[test]
    fn a_binding_names_its_policy_and_what_follows() {
        assert_eq!(
            validating_of(json!({ "policyName": "p", "validationActions": ["Deny"] })),
            Vec::<String>::new()
        );
        assert_eq!(
            validating_of(json!({})),
            [
                "spec.policyName: Required value",
                "spec.validationActions: Required value: at least one validation action is required",
            ]
        );
        let found =
            validating_of(json!({ "policyName": "P", "validationActions": ["Deny", "Warn", "Warn", "x"] }));
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(
            found[1..3],
            [
                "spec.validationActions[2]: Duplicate value: \"Warn\"",
                "spec.validationActions[3]: Unsupported value: \"x\": supported values: \"Audit\", \"Deny\", \"Warn\"",
            ]
        );
    }

    #[test]
    fn parameters_are_named_or_selected() {
        let of = |parameters: Value| {
            let spec = json!({ "policyName": "p", "paramRef": parameters });
            texts(&mutating(&serde_json::from_value(json!({ "spec": spec })).unwrap()))
        };
        assert_eq!(of(json!({ "name": "a", "parameterNotFoundAction": "Deny" })), Vec::<String>::new());
        assert_eq!(
            of(json!({})),
            [
                "spec.paramRef: Required value: one of name or selector must be specified",
                "spec.paramRef.parameterNotFoundAction: Required value",
            ]
        );
        assert_eq!(
            of(json!({ "name": "a", "selector": {}, "parameterNotFoundAction": "x" })),
            [
                "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
                "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
                "spec.paramRef.parameterNotFoundAction: Unsupported value: \"x\": supported values: \"Allow\", \
                 \"Deny\"",
            ]
        );
    }

    #[test]
    fn what_is_deleted_does_not_change() {
        let rule =
            json!({ "operations": ["DELETE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"] });
        let spec = json!({ "policyName": "p", "matchResources": { "resourceRules": [rule] } });
        let mut binding = serde_json::from_value(json!({ "spec": spec })).unwrap();
        crate::defaults::admissionregistration::mutating_binding(&mut binding);
        assert_eq!(
            texts(&mutating(&binding)),
            [
                "spec.matchResources.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \"*\", \
                 \"CONNECT\", \"CREATE\", \"UPDATE\""
            ]
        );
    }
}
