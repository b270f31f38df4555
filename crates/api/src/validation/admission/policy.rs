//! Policies of either kind.

use super::super::common::{Unique, check, enumerated, required, required_enumerated, shown};
use super::super::{conditions as status_conditions, names};
use super::{conditions, rules};
use crate::Resource as _;
use crate::admissionregistration::v1::{
    AuditAnnotation, MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicySpec, Mutation,
    ParamKind, ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec, Validation, Variable,
};
use crate::cel::RESERVED;
use crate::expression::{MADE_BY_MUTATIONS, OF_POLICIES};
use crate::field::{Error, ErrorList, Path};

const MAX_ANNOTATIONS: usize = 20;
const MAX_ANNOTATION_EXPRESSION: usize = 5 << 10;
const NOT_SPECIFIED: &str = "expression is not specified";
pub(crate) fn validating(policy: &ValidatingAdmissionPolicy) -> ErrorList {
    validating_spec(policy, true)
}

pub(crate) fn validating_update(
    new: &ValidatingAdmissionPolicy,
    old: &ValidatingAdmissionPolicy,
) -> ErrorList {
    let asked = |policy: &ValidatingAdmissionPolicy| {
        let spec = policy.spec.clone().unwrap_or_default();
        (spec.param_kind, spec.match_conditions)
    };
    validating_spec(new, asked(new) != asked(old))
}

fn validating_spec(policy: &ValidatingAdmissionPolicy, with_conditions: bool) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = ValidatingAdmissionPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    let known = known(spec.param_kind.is_some());
    failure_policy(&mut errors, spec.failure_policy.as_deref(), &path);
    param_kind(&mut errors, spec.param_kind.as_ref(), &path.child("paramKind"));
    constraints(&mut errors, spec.match_constraints.as_ref(), &path.child("matchConstraints"));
    if with_conditions {
        conditions::validate(&mut errors, &spec.match_conditions, known, &path.child("matchConditions"));
    }
    variables(&mut errors, &spec.variables, known, &path.child("variables"));
    let of_annotations = path.child("auditAnnotations");
    if spec.validations.is_empty() && spec.audit_annotations.is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.push(Error::required(path.child("validations"), detail));
        errors.push(Error::required(of_annotations, detail));
        return errors;
    }
    for (i, one) in spec.validations.iter().enumerate() {
        validation(&mut errors, one, known, &path.child("validations").index(i));
    }
    annotations(&mut errors, policy.name(), &spec.audit_annotations, &of_annotations);
    for (i, one) in spec.audit_annotations.iter().enumerate() {
        if one.value_expression.trim().len() > MAX_ANNOTATION_EXPRESSION {
            continue;
        }
        let path = of_annotations.index(i).child("valueExpression");
        conditions::compiled(&mut errors, &one.value_expression, known, &path);
    }
    errors
}

pub(crate) fn mutating(policy: &MutatingAdmissionPolicy) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = MutatingAdmissionPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    let known = known(spec.param_kind.is_some());
    let making: Vec<&str> = known.iter().copied().chain(MADE_BY_MUTATIONS).collect();
    failure_policy(&mut errors, spec.failure_policy.as_deref(), &path);
    param_kind(&mut errors, spec.param_kind.as_ref(), &path.child("paramKind"));
    let of_constraints = path.child("matchConstraints");
    constraints(&mut errors, spec.match_constraints.as_ref(), &of_constraints);
    if let Some(constraints) = &spec.match_constraints {
        let path = of_constraints.child("resourceRules").child("operations");
        rules::mutable(&mut errors, &constraints.resource_rules, &path);
    }
    conditions::validate(&mut errors, &spec.match_conditions, known, &path.child("matchConditions"));
    variables(&mut errors, &spec.variables, &making, &path.child("variables"));
    if spec.mutations.is_empty() {
        let detail = "mutations must contain at least one item";
        errors.push(Error::required(path.child("mutations"), detail));
    }
    for (i, one) in spec.mutations.iter().enumerate() {
        mutation(&mut errors, one, &making, &path.child("mutations").index(i));
    }
    required_enumerated(
        &mut errors,
        &path.child("reinvocationPolicy"),
        &spec.reinvocation_policy,
        "admissionregistration.v1.MutatingAdmissionPolicySpec.reinvocationPolicy",
    );
    errors
}

/// What expressions of a policy may look at.
fn known(with_params: bool) -> &'static [&'static str] {
    match OF_POLICIES.split_last() {
        Some((_, others)) if !with_params => others,
        _ => &OF_POLICIES,
    }
}

/// What was found about a policy. That a reference to a field is a path in JSONPath's syntax is not checked.
pub(crate) fn status(policy: &ValidatingAdmissionPolicy) -> ErrorList {
    let mut errors = ErrorList::new();
    let status = policy.status.clone().unwrap_or_default();
    let path = Path::new("status");
    for (i, warning) in status.type_checking.unwrap_or_default().expression_warnings.iter().enumerate() {
        let path = path.child("typeChecking").child("expressionWarnings").index(i);
        required(&mut errors, &path.child("warning"), &warning.warning);
        required(&mut errors, &path.child("fieldRef"), warning.field_ref.trim());
    }
    status_conditions::validate(&mut errors, &status.conditions, &path.child("conditions"));
    errors
}

fn failure_policy(errors: &mut ErrorList, policy: Option<&str>, path: &Path) {
    let field = "admissionregistration.v1.ValidatingAdmissionPolicySpec.failurePolicy";
    match policy {
        None => errors.push(Error::required(path.child("failurePolicy"), "")),
        Some(policy) => enumerated(errors, &path.child("failurePolicy"), policy, field),
    }
}

fn constraints(errors: &mut ErrorList, constraints: Option<&MatchResources>, path: &Path) {
    let Some(constraints) = constraints else {
        errors.push(Error::required(path.clone(), ""));
        return;
    };
    rules::match_resources(errors, constraints, path);
    if constraints.resource_rules.is_empty() {
        errors.push(Error::required(path.child("resourceRules"), ""));
    }
}

fn param_kind(errors: &mut ErrorList, kind: Option<&ParamKind>, path: &Path) {
    let Some(ParamKind { api_version, kind }) = kind else { return };
    let of_version = path.child("apiVersion");
    let mut version = |value: &str, detail: String| {
        errors.push(Error::invalid(of_version.clone(), value, detail));
    };
    let parts = if api_version == "/" { vec![""] } else { api_version.split('/').collect() };
    match parts[..] {
        [""] if api_version.is_empty() => errors.push(Error::required(of_version, "")),
        [""] | [_, ""] => version(api_version, "version must be specified".to_owned()),
        [group, number] if !group.is_empty() && !names::dns1123_subdomain(group).is_empty() => {
            version(group, names::dns1123_subdomain(group).join(","));
            let problems = names::dns1035_label(number);
            if !problems.is_empty() {
                version(number, problems.join(","));
            }
        }
        [number] | [_, number] => {
            let problems = names::dns1035_label(number);
            if !problems.is_empty() {
                version(number, problems.join(","));
            }
        }
        _ => version(api_version, format!("unexpected GroupVersion string: {api_version}")),
    }
    let of_kind = path.child("kind");
    if kind.is_empty() {
        errors.push(Error::required(of_kind, ""));
        return;
    }
    let problems = names::dns1035_label(&kind.to_lowercase());
    if !problems.is_empty() {
        let detail = format!("may have mixed case, but should otherwise match: {}", problems.join(","));
        errors.push(Error::invalid(of_kind, kind.as_str(), detail));
    }
}

fn variables(errors: &mut ErrorList, variables: &[Variable], known: &[&str], path: &Path) {
    for (i, variable) in variables.iter().enumerate() {
        let path = path.index(i);
        if variable.name.trim().is_empty() {
            errors.push(Error::required(path.child("name"), "name is not specified"));
        } else if !is_identifier(&variable.name) {
            let detail = "must be a valid CEL identifier";
            errors.push(Error::invalid(path.child("name"), variable.name.as_str(), detail));
        }
        expression(errors, &variable.expression, known, &path.child("expression"));
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !RESERVED.contains(&name)
}

fn expression(errors: &mut ErrorList, text: &str, known: &[&str], path: &Path) {
    if text.trim().is_empty() {
        errors.push(Error::required(path.clone(), NOT_SPECIFIED));
    }
    conditions::compiled(errors, text, known, path);
}

fn validation(errors: &mut ErrorList, validation: &Validation, known: &[&str], path: &Path) {
    expression(errors, &validation.expression, known, &path.child("expression"));
    conditions::compiled(errors, &validation.message_expression, known, &path.child("messageExpression"));
    let mut invalid = |field: &str, value: &str, detail: &str| {
        errors.push(Error::invalid(path.child(field), value, detail));
    };
    let blank = |text: &str| !text.is_empty() && text.trim().is_empty();
    let when_there = "must be non-empty if specified";
    if blank(&validation.message_expression) {
        invalid("messageExpression", &validation.message_expression, when_there);
    }
    if blank(&validation.message) {
        invalid("message", &validation.message, when_there);
    } else if validation.message.trim().contains(['\n', '\r']) {
        invalid("message", &validation.message, "must not contain line breaks");
    }
    if let Some(reason) = &validation.reason {
        enumerated(errors, &path.child("reason"), reason, "admissionregistration.v1.Validation.reason");
    }
}

fn annotations(errors: &mut ErrorList, policy: &str, annotations: &[AuditAnnotation], path: &Path) {
    if annotations.len() > MAX_ANNOTATIONS {
        let detail = format!("must not have more than {MAX_ANNOTATIONS} auditAnnotations");
        errors.push(Error::invalid(path.clone(), shown(annotations), detail));
    }
    let mut unique = Unique::new();
    for (i, annotation) in annotations.iter().enumerate() {
        let path = path.index(i);
        let of_key = path.child("key");
        if policy.is_empty() {
            let detail = "requires metadata.name be non-empty";
            errors.push(Error::invalid(of_key.clone(), annotation.key.as_str(), detail));
        } else {
            let key = format!("{policy}/{}", annotation.key);
            check(errors, &of_key, &key, names::qualified_name(&key));
        }
        let detail = match annotation.value_expression.trim() {
            "" => Some("valueExpression is not specified".to_owned()),
            text if text.len() > MAX_ANNOTATION_EXPRESSION => {
                Some(format!("must not exceed {MAX_ANNOTATION_EXPRESSION} bytes in length"))
            }
            _ => None,
        };
        errors.extend(detail.map(|detail| Error::required(path.child("valueExpression"), detail)));
        unique.check(errors, &of_key, &annotation.key);
    }
}

fn mutation(errors: &mut ErrorList, mutation: &Mutation, known: &[&str], path: &Path) {
    let configuration = mutation.apply_configuration.as_ref().map(|change| change.expression.as_str());
    let patch = mutation.json_patch.as_ref().map(|change| change.expression.as_str());
    let field = "admissionregistration.v1.Mutation.patchType";
    let both = [("applyConfiguration", configuration), ("jsonPatch", patch)];
    let (wanted, other) = match mutation.patch_type.as_str() {
        "ApplyConfiguration" => (both[0], both[1]),
        "JSONPatch" => (both[1], both[0]),
        unknown => return required_enumerated(errors, &path.child("patchType"), unknown, field),
    };
    let when = |what: &str| format!("{what} be specified when patchType is {}", mutation.patch_type);
    match wanted {
        (field, None) => errors.push(Error::required(path.child(field), when("must"))),
        (field, Some(text)) => {
            let path = path.child(field).child("expression");
            required(errors, &path, text.trim());
            conditions::compiled(errors, text, known, &path);
        }
    }
    if let (field, Some(_)) = other {
        errors.push(Error::invalid(path.child(field), format!("{{{field}}}"), when("must not")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn rule() -> Value {
        json!({ "operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"] })
    }

    fn validating_of(more: Value) -> Vec<String> {
        let mut spec = json!({
            "matchConstraints": { "resourceRules": [rule()] }, "validations": [{ "expression": "true" }],
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let mut of = serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap();
        crate::defaults::admissionregistration::validating_policy(&mut of);
        texts(&validating(&of))
    }

    fn mutating_of(more: Value) -> Vec<String> {
        let mut spec = json!({
            "matchConstraints": { "resourceRules": [rule()] },
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": "[]" } }],
            "reinvocationPolicy": "Never",
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let mut of = serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap();
        crate::defaults::admissionregistration::mutating_policy(&mut of);
        texts(&mutating(&of))
    }

    #[test]
    fn a_policy_matches_and_asks_something() {
        assert_eq!(validating_of(json!({})), Vec::<String>::new());
        assert_eq!(
            texts(&validating(&ValidatingAdmissionPolicy::default())),
            [
                "spec.failurePolicy: Required value",
                "spec.matchConstraints: Required value",
                "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
                "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
            ]
        );
        assert_eq!(
            validating_of(json!({ "matchConstraints": {} })),
            ["spec.matchConstraints.resourceRules: Required value"]
        );
    }

    #[test]
    fn parameters_have_a_version_and_a_kind() {
        let of = |kind| validating_of(json!({ "paramKind": kind }));
        assert_eq!(of(json!({ "apiVersion": "v1", "kind": "ConfigMap" })), Vec::<String>::new());
        assert_eq!(of(json!({ "apiVersion": "a.example/v1", "kind": "A" })), Vec::<String>::new());
        assert_eq!(
            of(json!({})),
            ["spec.paramKind.apiVersion: Required value", "spec.paramKind.kind: Required value"]
        );
        assert_eq!(
            of(json!({ "apiVersion": "a/b/c", "kind": "A" })),
            ["spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"]
        );
        assert_eq!(
            of(json!({ "apiVersion": "a/", "kind": "A" })),
            ["spec.paramKind.apiVersion: Invalid value: \"a/\": version must be specified"]
        );
        assert_eq!(of(json!({ "apiVersion": "A/1", "kind": "a_b" })).len(), 3);
    }

    #[test]
    fn expressions_are_there() {
        assert_eq!(
            validating_of(json!({ "variables": [{ "name": "for", "expression": " " }, {}] })),
            [
                "spec.variables[0].name: Invalid value: \"for\": must be a valid CEL identifier",
                "spec.variables[0].expression: Required value: expression is not specified",
                "spec.variables[1].name: Required value: name is not specified",
                "spec.variables[1].expression: Required value: expression is not specified",
            ]
        );
        let wrong = json!({ "message": "a\nb", "messageExpression": " ", "reason": "NotFound" });
        assert_eq!(
            validating_of(json!({ "validations": [wrong] })),
            [
                "spec.validations[0].expression: Required value: expression is not specified",
                "spec.validations[0].messageExpression: Invalid value: \" \": must be non-empty if specified",
                "spec.validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks",
                "spec.validations[0].reason: Unsupported value: \"NotFound\": supported values: \"Forbidden\", \
                 \"Invalid\", \"RequestEntityTooLarge\"",
            ]
        );
        let annotation = json!({ "key": "k", "valueExpression": "x".repeat(MAX_ANNOTATION_EXPRESSION + 1) });
        assert_eq!(
            validating_of(
                json!({ "auditAnnotations": [annotation, { "key": "k", "valueExpression": "'v'" }] })
            ),
            [
                "spec.auditAnnotations[0].valueExpression: Required value: must not exceed 5120 bytes in length",
                "spec.auditAnnotations[1].key: Duplicate value: \"k\"",
            ]
        );
    }

    #[test]
    fn a_mutation_is_of_one_type() {
        assert_eq!(mutating_of(json!({})), Vec::<String>::new());
        let apply = json!({ "patchType": "JSONPatch", "applyConfiguration": { "expression": "Object{}" } });
        assert_eq!(
            mutating_of(json!({ "mutations": [apply, {}, { "patchType": "x" }] })),
            [
                "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
                "spec.mutations[0].applyConfiguration: Invalid value: \"{applyConfiguration}\": must not be specified \
                 when patchType is JSONPatch",
                "spec.mutations[1].patchType: Required value",
                "spec.mutations[2].patchType: Unsupported value: \"x\": supported values: \"ApplyConfiguration\", \
                 \"JSONPatch\"",
            ]
        );
        assert_eq!(
            texts(&mutating(&MutatingAdmissionPolicy::default())),
            [
                "spec.failurePolicy: Required value",
                "spec.matchConstraints: Required value",
                "spec.mutations: Required value: mutations must contain at least one item",
                "spec.reinvocationPolicy: Required value",
            ]
        );
        let mut gone = rule();
        gone["operations"] = json!(["DELETE"]);
        assert_eq!(
            mutating_of(json!({ "matchConstraints": { "resourceRules": [gone] } })),
            [
                "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \
                 \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\""
            ]
        );
    }

    #[test]
    fn conditions_that_stay_are_not_looked_at_again() {
        let of = |conditions: Value| {
            let spec = json!({ "matchConditions": conditions });
            serde_json::from_value::<ValidatingAdmissionPolicy>(json!({ "spec": spec })).unwrap()
        };
        let (wrong, none) = (of(json!([{ "name": "a" }])), of(json!([])));
        assert_eq!(validating_update(&wrong, &none).len(), validating_update(&wrong, &wrong).len() + 1);
    }

    #[test]
    fn a_status_says_what_it_is_about() {
        let warnings = json!({ "typeChecking": { "expressionWarnings": [{ "fieldRef": " " }] } });
        let policy = serde_json::from_value(json!({ "status": warnings })).unwrap();
        assert_eq!(
            texts(&status(&policy)),
            [
                "status.typeChecking.expressionWarnings[0].warning: Required value",
                "status.typeChecking.expressionWarnings[0].fieldRef: Required value",
            ]
        );
    }
}
