//! What a policy makes of a request: pure, over JSON.

use std::sync::Arc;

use gantry_api::expression::authorizer::{Authorizer, Resource};
use gantry_api::expression::{Budget, Evaluation, Expression, Variables};
use serde_json::Value;

use super::policy::{Policy, Rules, Validation};

/// What all expressions of a policy may cost together, and one of them.
pub(super) const COST: u64 = 10_000_000;
pub(super) const COST_OF_ONE: u64 = 1_000_000;
/// The longest message that an expression makes.
const MAX_MESSAGE: usize = 5 << 10;
const TOO_EXPENSIVE: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// What a policy looks at.
#[derive(Debug, Clone, Default)]
pub(super) struct Input<'a> {
    pub(super) object: Option<&'a Value>,
    pub(super) old: Option<&'a Value>,
    pub(super) request: Option<&'a Value>,
    pub(super) params: Option<&'a Value>,
    pub(super) namespace: Option<&'a Value>,
    /// Who decides what somebody may, and what the request is about.
    pub(super) authorizer: (Option<Arc<dyn Authorizer>>, Resource),
}

/// A no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    pub(super) message: String,
    pub(super) reason: String,
}

/// Every no of a policy.
pub(super) fn denials(policy: &Policy, rules: &Rules, input: Input<'_>) -> Vec<Denial> {
    let variables = Variables::default()
        .with("object", input.object)
        .with("oldObject", input.old)
        .with("request", input.request)
        .with("params", input.params)
        .with("namespaceObject", input.namespace)
        .with_authorizer(input.authorizer.0, input.authorizer.1);
    let mut evaluation = Evaluation::new(variables, &rules.composition, COST_OF_ONE);
    let mut budget = Budget::new(COST);
    match meets(rules, &mut evaluation, &mut budget) {
        Ok(true) => {}
        Ok(false) => return Vec::new(),
        Err(why) => return failure(policy, why),
    }
    let mut denials = Vec::new();
    for validation in &rules.validations {
        match evaluation.holds(&validation.expression, &mut budget) {
            Ok(true) => {}
            Ok(false) => denials.push(Denial {
                message: message(validation, &mut evaluation, &mut budget),
                reason: validation.reason.clone(),
            }),
            Err(_) if budget.is_spent() => return failure(policy, TOO_EXPENSIVE.to_owned()),
            Err(error) => denials.extend(failure(policy, resulted(&validation.expression, &error))),
        }
    }
    for annotation in &rules.annotations {
        match evaluation.annotation(annotation, &mut budget) {
            Ok(Ok(_)) => {}
            Ok(Err(found)) => {
                let text = annotation.text();
                denials.extend(failure(
                    policy,
                    format!(
                        "valueExpression '{text}' resulted in unsupported return type: {found}. Return type must be \
                         either string or null."
                    ),
                ));
            }
            Err(_) if budget.is_spent() => return failure(policy, TOO_EXPENSIVE.to_owned()),
            Err(error) => denials.extend(failure(policy, resulted(annotation, &error))),
        }
    }
    denials
}

/// Whether the conditions hold. One that does not is enough, whatever is wrong with others.
pub(super) fn meets<'a>(
    rules: &'a Rules,
    evaluation: &mut Evaluation<'a>,
    budget: &mut Budget,
) -> Result<bool, String> {
    let mut failures = Vec::new();
    for condition in &rules.conditions {
        match evaluation.holds(condition, budget) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => failures.push(resulted(condition, &error)),
        }
    }
    match failures.as_slice() {
        [] => Ok(true),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

/// What is said of an expression that fails.
pub(super) fn resulted(expression: &Expression, error: &gantry_api::expression::Error) -> String {
    format!("expression '{}' resulted in error: {error}", expression.text())
}

/// What cannot be found out is a no, unless the policy says otherwise.
fn failure(policy: &Policy, message: String) -> Vec<Denial> {
    if policy.ignores_failure {
        return Vec::new();
    }
    vec![Denial { message, reason: "Invalid".to_owned() }]
}

fn message<'a>(validation: &'a Validation, evaluation: &mut Evaluation<'a>, budget: &mut Budget) -> String {
    let made = validation.message_expression.as_ref().and_then(|expression| {
        let text = evaluation.text(expression, budget).ok().flatten()?;
        let text = text.trim();
        let usable = !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n');
        usable.then(|| text.to_owned())
    });
    match made {
        Some(made) => made,
        None if validation.message.is_empty() => {
            format!("failed expression: {}", validation.expression.text().trim())
        }
        None => validation.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(spec: Value, object: &Value) -> Vec<String> {
        let policy = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        let policy = Policy::of("p", &policy);
        let rules = policy.rules.as_ref().unwrap();
        let input = Input { object: Some(object), ..Input::default() };
        denials(&policy, rules, input).into_iter().map(|denial| denial.message).collect()
    }

    #[test]
    fn a_denial_says_why_as_well_as_it_can() {
        let validations = json!([
            {"expression": "object.a == 1"},
            {"expression": "object.a == 2", "message": " two "},
            {"expression": "object.a == 4", "message": "unused", "messageExpression": "'is ' + string(object.a)"},
            {"expression": "object.a == 5", "message": "kept", "messageExpression": "object.none"},
            {"expression": "object.none == 1"},
            {"expression": "variables.three == 3"},
        ]);
        let variables = json!([{"name": "three", "expression": "object.a"}]);
        let spec = json!({"validations": validations, "variables": variables});
        let failed = "expression 'object.none == 1' resulted in error: no such key: none";
        let all = ["failed expression: object.a == 1", "two", "is 3", "kept", failed];
        assert_eq!(messages(spec.clone(), &json!({"a": 3})), all);
        let mut ignoring = spec;
        ignoring["failurePolicy"] = "Ignore".into();
        assert_eq!(messages(ignoring, &json!({"a": 3})), all[..4]);
    }

    #[test]
    fn what_the_audit_log_is_told_must_be_a_text_or_null() {
        let spec = |text: &str| json!({"auditAnnotations": [{"key": "k", "valueExpression": text}]});
        let object = json!({"a": 3});
        for fine in ["string(object.a)", "null"] {
            assert_eq!(messages(spec(fine), &object), Vec::<String>::new());
        }
        let expected = "valueExpression 'object.a' resulted in unsupported return type: int. Return type must be either \
                        string or null.";
        assert_eq!(messages(spec("object.a"), &object), [expected]);
        let error = "expression 'object.none' resulted in error: no such key: none";
        assert_eq!(messages(spec("object.none"), &object), [error]);
    }

    #[test]
    fn conditions_come_first() {
        let spec = |conditions: Value| json!({"matchConditions": conditions, "validations": [{"expression": "false"}]});
        let broken = json!({"name": "broken", "expression": "object.none"});
        let no = json!({"name": "no", "expression": "object.a == 0"});
        let object = json!({"a": 3});
        assert_eq!(messages(spec(json!([broken, no])), &object), Vec::<String>::new());
        let error = "expression 'object.none' resulted in error: no such key: none";
        assert_eq!(messages(spec(json!([broken])), &object), [error]);
    }
}
