//! Whether label selectors are valid.

use std::collections::BTreeMap;

use super::{
    common::{check, shown},
    meta, names,
};
use crate::field::{Error, ErrorList, Path};
use crate::meta::v1::{LabelSelector, LabelSelectorRequirement};
use crate::selector;

type Labels = BTreeMap<String, String>;

/// Whether the selector selects by anything at all.
pub(crate) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.is_empty() && selector.match_expressions.is_empty()
}

pub(crate) fn validate(errors: &mut ErrorList, selector: &LabelSelector, path: &Path) {
    meta::labels(errors, &selector.match_labels, &path.child("matchLabels"));
    for (i, requirement) in selector.match_expressions.iter().enumerate() {
        validate_requirement(errors, requirement, &path.child("matchExpressions").index(i));
    }
}

fn validate_requirement(errors: &mut ErrorList, requirement: &LabelSelectorRequirement, path: &Path) {
    let values = path.child("values");
    match requirement.operator.as_str() {
        "In" | "NotIn" => {
            if requirement.values.is_empty() {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(Error::required(values.clone(), detail));
            }
        }
        "Exists" | "DoesNotExist" => {
            if !requirement.values.is_empty() {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(Error::forbidden(values.clone(), detail));
            }
        }
        other => errors.push(Error::invalid(path.child("operator"), other, "not a valid selector operator")),
    }
    check(errors, &path.child("key"), &requirement.key, names::qualified_name(&requirement.key));
    for (i, value) in requirement.values.iter().enumerate() {
        check(errors, &values.index(i), value, names::label_value(value));
    }
}

/// The selector of a workload: present, not empty, and matching the labels of its template.
pub(crate) fn validate_of_workload(
    errors: &mut ErrorList,
    selector: Option<&LabelSelector>,
    template_labels: &Labels,
    what: &str,
    path: &Path,
    labels_path: &Path,
) {
    let selector_path = path.child("selector");
    let Some(selector) = selector else {
        errors.push(Error::required(selector_path, ""));
        return;
    };
    let before = errors.len();
    validate(errors, selector, &selector_path);
    if is_empty(selector) {
        let detail = format!("empty selector is invalid for {what}");
        errors.push(Error::invalid(selector_path, shown(selector), detail));
        return;
    }
    let matches =
        selector::LabelSelector::from_meta(Some(selector)).is_ok_and(|s| s.matches(template_labels));
    if errors.len() == before && !matches {
        let value = if template_labels.is_empty() { serde_json::Value::Null } else { shown(template_labels) };
        errors.push(Error::invalid(
            labels_path.clone(),
            value,
            "`selector` does not match template `labels`",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(key: &str, operator: &str, values: &[&str]) -> LabelSelectorRequirement {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        LabelSelectorRequirement { key: key.into(), operator: operator.into(), values }
    }

    #[test]
    fn values_and_operators_belong_together() {
        let path = Path::new("spec").child("selector");
        let of = |requirement| {
            let mut errors = ErrorList::new();
            let selector = LabelSelector { match_expressions: vec![requirement], ..LabelSelector::default() };
            validate(&mut errors, &selector, &path);
            super::super::common::texts(&errors)
        };
        assert_eq!(of(requirement("a", "In", &["b"])), Vec::<String>::new());
        assert_eq!(
            of(requirement("a", "In", &[])),
            [
                "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' \
                 or 'NotIn'"
            ]
        );
        assert_eq!(of(requirement("a", "Exists", &["b"])).len(), 1);
        assert_eq!(
            of(requirement("a", "Like", &[])),
            [
                "spec.selector.matchExpressions[0].operator: Invalid value: \"Like\": not a valid selector operator"
            ]
        );
    }
}
