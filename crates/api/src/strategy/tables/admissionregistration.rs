//! Webhooks and policies of admission.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, UNSET};
use crate::Resource;
use crate::admissionregistration::v1::{ParamKind, ParamRef};
use crate::meta::v1::LabelSelector;
use crate::strategy::age;

pub(in crate::strategy) const WEBHOOKS: &[Column] =
    &[Column::NAME, Column::new("Webhooks", "integer", "The number of its webhooks"), Column::AGE];

/// A configuration of webhooks of either kind.
pub(in crate::strategy) fn webhooks(
    configuration: &impl Resource,
    count: usize,
    now: Timestamp,
) -> Vec<Value> {
    vec![configuration.name().into(), count.into(), age(configuration.meta(), now)]
}

pub(in crate::strategy) const VALIDATING_POLICY: &[Column] = &[
    Column::NAME,
    Column::new("Validations", "integer", "The number of its validations"),
    PARAM_KIND,
    Column::AGE,
];

pub(in crate::strategy) const MUTATING_POLICY: &[Column] = &[
    Column::NAME,
    Column::new("Mutations", "integer", "The number of its mutations"),
    PARAM_KIND,
    Column::AGE,
];

const PARAM_KIND: Column = Column::new("ParamKind", "string", "The kind of its parameters");

/// A policy of either kind.
pub(in crate::strategy) fn policy(
    policy: &impl Resource,
    count: usize,
    kind: Option<&ParamKind>,
    now: Timestamp,
) -> Vec<Value> {
    let kind = kind.map_or_else(|| UNSET.to_owned(), |kind| format!("{}/{}", kind.api_version, kind.kind));
    vec![policy.name().into(), count.into(), kind.into(), age(policy.meta(), now)]
}

pub(in crate::strategy) const BINDING: &[Column] = &[
    Column::NAME,
    Column::new("PolicyName", "string", "The policy that takes effect"),
    Column::new("ParamRef", "string", "The policy's parameters"),
    Column::AGE,
];

/// A binding of a policy of either kind.
pub(in crate::strategy) fn binding(
    binding: &impl Resource,
    policy: &str,
    parameters: Option<&ParamRef>,
    now: Timestamp,
) -> Vec<Value> {
    vec![binding.name().into(), policy.into(), shown(parameters).into(), age(binding.meta(), now)]
}

fn shown(parameters: Option<&ParamRef>) -> String {
    let Some(parameters) = parameters else { return UNSET.to_owned() };
    match (parameters.name.as_str(), parameters.namespace.as_str(), &parameters.selector) {
        ("", _, None) => UNSET.to_owned(),
        ("", _, Some(selector)) => in_go(selector),
        // They may as well have no namespace at all, which does not show here.
        (name, "", _) => format!("*/{name}"),
        (name, namespace, _) => format!("{namespace}/{name}"),
    }
}

/// A selector as Go's protobuf prints it, which is what upstream's table shows.
fn in_go(selector: &LabelSelector) -> String {
    let labels: String =
        selector.match_labels.iter().map(|(key, value)| format!("{key}: {value},")).collect();
    let expressions = selector.match_expressions.iter().map(|requirement| {
        let (key, operator) = (&requirement.key, &requirement.operator);
        format!(
            "LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},",
            requirement.values.join(" ")
        )
    });
    let expressions: String = expressions.collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement\
         {{{expressions}}},}}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters(json: Value) -> String {
        shown(Some(&serde_json::from_value(json).unwrap()))
    }

    #[test]
    fn parameters_show_as_one_word() {
        assert_eq!(shown(None), "<unset>");
        assert_eq!(parameters(json!({ "name": "p" })), "*/p");
        assert_eq!(parameters(json!({ "name": "p", "namespace": "n" })), "n/p");
        let selector = json!({
            "matchLabels": { "a": "b" },
            "matchExpressions": [{ "key": "c", "operator": "In", "values": ["d", "e"] }],
        });
        assert_eq!(
            parameters(json!({ "selector": selector })),
            "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement\
             {LabelSelectorRequirement{Key:c,Operator:In,Values:[d e],},},}"
        );
    }
}
