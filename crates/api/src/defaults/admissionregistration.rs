//! Webhooks and policies of admission.

use crate::admissionregistration::v1::{
    MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
    NamedRuleWithOperations, Rule, RuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration, WebhookClientConfig,
};

const TIMEOUT_SECONDS: i32 = 10;
const HTTPS: i32 = 443;

fn text(field: &mut Option<String>, default: &str) {
    field.get_or_insert_with(|| default.to_owned());
}

pub(crate) fn validating_webhooks(configuration: &mut ValidatingWebhookConfiguration) {
    for hook in &mut configuration.webhooks {
        text(&mut hook.failure_policy, "Fail");
        text(&mut hook.match_policy, "Equivalent");
        hook.namespace_selector.get_or_insert_default();
        hook.object_selector.get_or_insert_default();
        hook.timeout_seconds.get_or_insert(TIMEOUT_SECONDS);
        client(hook.client_config.as_mut());
        hook.rules.iter_mut().for_each(operations);
    }
}

pub(crate) fn mutating_webhooks(configuration: &mut MutatingWebhookConfiguration) {
    for hook in &mut configuration.webhooks {
        text(&mut hook.failure_policy, "Fail");
        text(&mut hook.match_policy, "Equivalent");
        hook.namespace_selector.get_or_insert_default();
        hook.object_selector.get_or_insert_default();
        hook.timeout_seconds.get_or_insert(TIMEOUT_SECONDS);
        text(&mut hook.reinvocation_policy, "Never");
        client(hook.client_config.as_mut());
        hook.rules.iter_mut().for_each(operations);
    }
}

fn client(config: Option<&mut WebhookClientConfig>) {
    if let Some(service) = config.and_then(|config| config.service.as_mut()) {
        service.port.get_or_insert(HTTPS);
    }
}

fn operations(rule: &mut RuleWithOperations) {
    scope(rule.rule.get_or_insert_default());
}

fn scope(rule: &mut Rule) {
    text(&mut rule.scope, "*");
}

fn resources(resources: Option<&mut MatchResources>) {
    let Some(resources) = resources else { return };
    text(&mut resources.match_policy, "Equivalent");
    resources.namespace_selector.get_or_insert_default();
    resources.object_selector.get_or_insert_default();
    let named =
        |rule: &mut NamedRuleWithOperations| operations(rule.rule_with_operations.get_or_insert_default());
    resources.resource_rules.iter_mut().for_each(named);
    resources.exclude_resource_rules.iter_mut().for_each(named);
}

pub(crate) fn validating_policy(policy: &mut ValidatingAdmissionPolicy) {
    let spec = policy.spec.get_or_insert_default();
    text(&mut spec.failure_policy, "Fail");
    resources(spec.match_constraints.as_mut());
}

pub(crate) fn mutating_policy(policy: &mut MutatingAdmissionPolicy) {
    let spec = policy.spec.get_or_insert_default();
    text(&mut spec.failure_policy, "Fail");
    resources(spec.match_constraints.as_mut());
}

pub(crate) fn validating_binding(binding: &mut ValidatingAdmissionPolicyBinding) {
    resources(binding.spec.get_or_insert_default().match_resources.as_mut());
}

pub(crate) fn mutating_binding(binding: &mut MutatingAdmissionPolicyBinding) {
    resources(binding.spec.get_or_insert_default().match_resources.as_mut());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_webhook_says_everything() {
        let hook = json!({
            "name": "a.example.com",
            "clientConfig": { "service": { "name": "s", "namespace": "n" } },
            "rules": [{ "operations": ["*"] }],
        });
        let mut of = serde_json::from_value(json!({ "webhooks": [hook] })).unwrap();
        mutating_webhooks(&mut of);
        let filled = serde_json::to_value(&of.webhooks[0]).unwrap();
        assert_eq!(filled["clientConfig"]["service"]["port"], 443);
        assert_eq!(filled["rules"][0]["scope"], "*");
        assert_eq!(filled["reinvocationPolicy"], "Never");
        let mut of = serde_json::from_value(json!({ "webhooks": [hook] })).unwrap();
        validating_webhooks(&mut of);
        let filled = serde_json::to_value(&of.webhooks[0]).unwrap();
        assert_eq!(
            (&filled["failurePolicy"], &filled["matchPolicy"]),
            (&json!("Fail"), &json!("Equivalent"))
        );
        assert_eq!((&filled["namespaceSelector"], &filled["objectSelector"]), (&json!({}), &json!({})));
        assert_eq!(filled["timeoutSeconds"], 10);
    }

    #[test]
    fn a_policy_matches_by_equivalence_and_fails_closed() {
        let spec = json!({ "matchConstraints": { "resourceRules": [{ "operations": ["CREATE"] }] } });
        let mut policy = serde_json::from_value(json!({ "spec": spec })).unwrap();
        validating_policy(&mut policy);
        let filled = serde_json::to_value(&policy).unwrap();
        assert_eq!(filled["spec"]["failurePolicy"], "Fail");
        assert_eq!(filled["spec"]["matchConstraints"]["matchPolicy"], "Equivalent");
        assert_eq!(filled["spec"]["matchConstraints"]["resourceRules"][0]["scope"], "*");
        let mut policy = serde_json::from_value(json!({ "spec": spec })).unwrap();
        mutating_policy(&mut policy);
        let spec = policy.spec.unwrap();
        // Whether it is asked again has no default.
        assert_eq!((spec.failure_policy.as_deref(), spec.reinvocation_policy.as_str()), (Some("Fail"), ""));
        let mut binding = serde_json::from_value(json!({ "spec": { "matchResources": {} } })).unwrap();
        validating_binding(&mut binding);
        let resources = binding.spec.unwrap().match_resources.unwrap();
        assert_eq!(resources.match_policy.as_deref(), Some("Equivalent"));
        assert!(resources.object_selector.is_some());
    }
}
