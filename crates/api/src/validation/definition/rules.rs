//! Rules of values as expressions.

use crate::apiextensions::v1::{JsonSchemaProps, ValidationRule};
use crate::custom::JsonPath;
use crate::custom::rules::{is_transition, program, reason};
use crate::custom::schema::MAX_DEPTH;
use crate::field::{Error, ErrorList, Path};

const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
/// The longest message.
const MAX_MESSAGE: usize = 2048;

/// The rules of a schema and of those inside.
pub(super) fn all(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path) {
    at(errors, schema, path, None, 0);
}

/// `lost`: the list above whose items are not known again after a change.
fn at(errors: &mut ErrorList, schema: &JsonSchemaProps, path: &Path, lost: Option<&Path>, depth: usize) {
    // Deeper ones are refused elsewhere.
    if depth > MAX_DEPTH {
        return;
    }
    for (index, rule) in schema.x_kubernetes_validations.iter().enumerate() {
        let path = path.child("x-kubernetes-validations").index(index);
        one(errors, rule, &path, lost);
    }
    for (name, inner) in &schema.properties {
        at(errors, inner, &path.child("properties").key(name), lost, depth + 1);
    }
    if let Some(inner) = schema.additional_properties.as_ref().and_then(|one| one.schema.as_deref()) {
        at(errors, inner, &path.child("additionalProperties"), lost, depth + 1);
    }
    if let Some(inner) = schema.items.as_ref().and_then(|items| items.schema.as_deref()) {
        let items = path.child("items");
        let kept = schema.x_kubernetes_list_type.as_deref() == Some("map");
        let lost = lost.or((!kept).then_some(&items));
        at(errors, inner, &items, lost, depth + 1);
    }
}

fn one(errors: &mut ErrorList, rule: &ValidationRule, path: &Path, lost: Option<&Path>) {
    let of_rule = path.child("rule");
    if rule.rule.trim().is_empty() {
        errors.push(Error::required(of_rule, "rule is not specified"));
    } else if let Err(error) = program(&rule.rule) {
        let detail = format!("compilation failed: {}", error.shown(&rule.rule));
        errors.push(Error::invalid(of_rule, rule.rule.as_str(), detail));
    } else if let Some(lost) = lost.filter(|_| is_transition(&rule.rule)) {
        let detail =
            format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {lost}");
        errors.push(Error::invalid(of_rule, rule.rule.as_str(), detail));
    }
    if rule.optional_old_self.is_some() && !is_transition(&rule.rule) {
        let detail = "may not be set if oldSelf is not used in rule";
        errors.push(Error::invalid(path.child("optionalOldSelf"), rule.optional_old_self, detail));
    }
    if !rule.message.is_empty() {
        let path = path.child("message");
        if rule.message.trim().is_empty() {
            let detail = "message must be non-empty if specified";
            errors.push(Error::invalid(path.clone(), rule.message.as_str(), detail));
        } else if rule.message.trim().contains('\n') {
            let detail = "message must not contain line breaks";
            errors.push(Error::invalid(path.clone(), rule.message.as_str(), detail));
        }
        if rule.message.len() > MAX_MESSAGE {
            errors.push(Error::too_long(path, MAX_MESSAGE));
        }
    } else if rule.rule.trim().contains('\n') && rule.message_expression.is_empty() {
        let detail = "message must be specified if rule contains line breaks";
        errors.push(Error::required(path.child("message"), detail));
    }
    if !rule.message_expression.is_empty()
        && let Err(error) = program(&rule.message_expression)
    {
        let detail =
            format!("messageExpression compilation failed: {}", error.shown(&rule.message_expression));
        errors.push(Error::invalid(
            path.child("messageExpression"),
            rule.message_expression.as_str(),
            detail,
        ));
    }
    if let Some(given) = rule.reason.as_deref().filter(|given| reason(Some(given)).is_none()) {
        errors.push(Error::not_supported(path.child("reason"), given, &REASONS));
    }
    let fields = JsonPath::parse(&rule.field_path).and_then(|path| path.fields().map(|fields| fields.len()));
    if !rule.field_path.is_empty() && fields.is_none_or(|fields| fields == 0) {
        let detail = "fieldPath must be a valid path";
        errors.push(Error::invalid(path.child("fieldPath"), rule.field_path.as_str(), detail));
    }
}
