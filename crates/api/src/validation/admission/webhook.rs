//! Webhooks of either kind.

use super::super::common::{Unique, check, enumerated, one_of, shown};
use super::super::{names, selector};
use super::{conditions, rules, service, url};
use crate::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use crate::expression::OF_WEBHOOKS;
use crate::field::{Error, ErrorList, Path};
use crate::meta::v1::LabelSelector;

/// What a webhook may do elsewhere, save where an old one does more.
const NO_SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
/// The versions of the question that are asked.
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const TIMEOUTS: std::ops::RangeInclusive<i32> = 1..=30;
/// A name that is fully qualified has this many parts.
const NAME_PARTS: usize = 3;

/// What webhooks of both kinds have.
struct Hook<'a> {
    name: &'a str,
    client: Option<&'a WebhookClientConfig>,
    rules: &'a [RuleWithOperations],
    failure_policy: Option<&'a str>,
    match_policy: Option<&'a str>,
    selectors: [(&'static str, Option<&'a LabelSelector>); 2],
    side_effects: Option<&'a str>,
    timeout_seconds: Option<i32>,
    versions: &'a [String],
    reinvocation_policy: Option<&'a str>,
    conditions: &'a [MatchCondition],
}

impl<'a> From<&'a ValidatingWebhook> for Hook<'a> {
    fn from(hook: &'a ValidatingWebhook) -> Self {
        Self {
            name: &hook.name,
            client: hook.client_config.as_ref(),
            rules: &hook.rules,
            failure_policy: hook.failure_policy.as_deref(),
            match_policy: hook.match_policy.as_deref(),
            selectors: [
                ("namespaceSelector", hook.namespace_selector.as_ref()),
                ("objectSelector", hook.object_selector.as_ref()),
            ],
            side_effects: hook.side_effects.as_deref(),
            timeout_seconds: hook.timeout_seconds,
            versions: &hook.admission_review_versions,
            reinvocation_policy: None,
            conditions: &hook.match_conditions,
        }
    }
}

impl<'a> From<&'a MutatingWebhook> for Hook<'a> {
    fn from(hook: &'a MutatingWebhook) -> Self {
        Self {
            name: &hook.name,
            client: hook.client_config.as_ref(),
            rules: &hook.rules,
            failure_policy: hook.failure_policy.as_deref(),
            match_policy: hook.match_policy.as_deref(),
            selectors: [
                ("namespaceSelector", hook.namespace_selector.as_ref()),
                ("objectSelector", hook.object_selector.as_ref()),
            ],
            side_effects: hook.side_effects.as_deref(),
            timeout_seconds: hook.timeout_seconds,
            versions: &hook.admission_review_versions,
            reinvocation_policy: hook.reinvocation_policy.as_deref(),
            conditions: &hook.match_conditions,
        }
    }
}

/// What is asked of webhooks. What an old configuration breaks is not asked of the new one.
struct Rules {
    no_side_effects: bool,
    known_version: bool,
    unique_names: bool,
    selectors: bool,
    conditions: bool,
}

impl Rules {
    const ALL: Self = Self {
        no_side_effects: true,
        known_version: true,
        unique_names: true,
        selectors: true,
        conditions: true,
    };

    fn after(old: &[Hook<'_>], new: &[Hook<'_>]) -> Self {
        let known =
            |hook: &Hook<'_>| hook.versions.is_empty() || hook.versions.iter().any(|v| known_version(v));
        let mut seen = Vec::new();
        let same_conditions =
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.conditions == new.conditions);
        Self {
            no_side_effects: old
                .iter()
                .all(|hook| hook.side_effects.is_some_and(|s| NO_SIDE_EFFECTS.contains(&s))),
            known_version: old.iter().all(known),
            unique_names: old.iter().all(|hook| {
                let new = !seen.contains(&hook.name);
                seen.push(hook.name);
                new
            }),
            selectors: old.iter().all(|hook| {
                let mut errors = ErrorList::new();
                selectors(&mut errors, hook, &Path::default());
                errors.is_empty()
            }),
            conditions: !same_conditions,
        }
    }
}

fn known_version(version: &str) -> bool {
    REVIEW_VERSIONS.contains(&version)
}

pub(crate) fn validating(configuration: &ValidatingWebhookConfiguration) -> ErrorList {
    webhooks(&hooks(&configuration.webhooks), &Rules::ALL)
}

pub(crate) fn validating_update(
    new: &ValidatingWebhookConfiguration,
    old: &ValidatingWebhookConfiguration,
) -> ErrorList {
    let (new, old) = (hooks(&new.webhooks), hooks(&old.webhooks));
    webhooks(&new, &Rules::after(&old, &new))
}

pub(crate) fn mutating(configuration: &MutatingWebhookConfiguration) -> ErrorList {
    webhooks(&hooks(&configuration.webhooks), &Rules::ALL)
}

pub(crate) fn mutating_update(
    new: &MutatingWebhookConfiguration,
    old: &MutatingWebhookConfiguration,
) -> ErrorList {
    let (new, old) = (hooks(&new.webhooks), hooks(&old.webhooks));
    webhooks(&new, &Rules::after(&old, &new))
}

fn hooks<'a, T>(webhooks: &'a [T]) -> Vec<Hook<'a>>
where
    Hook<'a>: From<&'a T>,
{
    webhooks.iter().map(Hook::from).collect()
}

fn webhooks(hooks: &[Hook<'_>], rules: &Rules) -> ErrorList {
    let mut errors = ErrorList::new();
    let mut unique = Unique::new();
    for (i, hook) in hooks.iter().enumerate() {
        let path = Path::new("webhooks").index(i);
        webhook(&mut errors, hook, rules, &path);
        versions(&mut errors, hook.versions, rules.known_version, &path.child("admissionReviewVersions"));
        if rules.unique_names && !hook.name.is_empty() {
            unique.check(&mut errors, &path.child("name"), hook.name);
        }
    }
    errors
}

fn webhook(errors: &mut ErrorList, hook: &Hook<'_>, rules: &Rules, path: &Path) {
    qualified(errors, hook.name, &path.child("name"));
    for (i, rule) in hook.rules.iter().enumerate() {
        rules::operations(errors, rule, &path.child("rules").index(i));
    }
    for (field, value) in [("failurePolicy", hook.failure_policy), ("matchPolicy", hook.match_policy)] {
        enumerated_field(errors, field, value, path);
    }
    side_effects(errors, hook.side_effects, rules.no_side_effects, &path.child("sideEffects"));
    if let Some(seconds) = hook.timeout_seconds.filter(|seconds| !TIMEOUTS.contains(seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        errors.push(Error::invalid(path.child("timeoutSeconds"), seconds, detail));
    }
    if rules.selectors {
        selectors(errors, hook, path);
    }
    enumerated_field(errors, "reinvocationPolicy", hook.reinvocation_policy, path);
    client(errors, hook.client, &path.child("clientConfig"));
    if rules.conditions {
        conditions::validate(errors, hook.conditions, &OF_WEBHOOKS, &path.child("matchConditions"));
    }
}

fn enumerated_field(errors: &mut ErrorList, field: &str, value: Option<&str>, path: &Path) {
    if let Some(value) = value {
        let name = format!("admissionregistration.v1.MutatingWebhook.{field}");
        enumerated(errors, &path.child(field), value, &name);
    }
}

fn selectors(errors: &mut ErrorList, hook: &Hook<'_>, path: &Path) {
    for (field, selector) in hook.selectors {
        if let Some(selector) = selector {
            selector::validate(errors, selector, &path.child(field));
        }
    }
}

fn qualified(errors: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    let problems = names::dns1123_subdomain(name);
    if !problems.is_empty() {
        errors.push(Error::invalid(path.clone(), name, problems.join(",")));
    } else if name.split('.').count() < NAME_PARTS {
        let detail = "should be a domain with at least three segments separated by dots";
        errors.push(Error::invalid(path.clone(), name, detail));
    }
}

fn side_effects(errors: &mut ErrorList, effects: Option<&str>, none: bool, path: &Path) {
    let all = ["None", "NoneOnDryRun", "Some", "Unknown"];
    let allowed: &[&str] = if none { &NO_SIDE_EFFECTS } else { &all };
    match effects {
        None => {
            let detail = format!("must specify one of {}", allowed.join(", "));
            errors.push(Error::required(path.clone(), detail));
        }
        Some(effects) => one_of(errors, path, effects, allowed),
    }
}

fn client(errors: &mut ErrorList, client: Option<&WebhookClientConfig>, path: &Path) {
    let empty = WebhookClientConfig::default();
    let client = client.unwrap_or(&empty);
    match (&client.url, &client.service) {
        (Some(text), None) => url(errors, text, &path.child("url")),
        (None, Some(to)) => {
            let names = (to.namespace.as_str(), to.name.as_str());
            let port = to.port.unwrap_or_default();
            service(errors, names, to.path.as_deref(), port, &path.child("service"));
        }
        _ => errors.push(Error::required(path.clone(), "exactly one of url or service is required")),
    }
}

fn versions(errors: &mut ErrorList, versions: &[String], known: bool, path: &Path) {
    if versions.is_empty() {
        let detail = format!("must specify one of {}", REVIEW_VERSIONS.join(", "));
        errors.push(Error::required(path.clone(), detail));
        return;
    }
    for (i, version) in versions.iter().enumerate() {
        if versions[..i].contains(version) {
            errors.push(Error::invalid(path.index(i), version.as_str(), "duplicate version"));
            continue;
        }
        check(errors, &path.index(i), version, names::dns1035_label(version));
    }
    if known && !versions.iter().any(|version| known_version(version)) {
        let detail = format!("must include at least one of {}", REVIEW_VERSIONS.join(", "));
        errors.push(Error::invalid(path.clone(), shown(versions), detail));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn configuration(webhooks: Value) -> MutatingWebhookConfiguration {
        let mut of = serde_json::from_value(json!({ "webhooks": webhooks })).unwrap();
        crate::defaults::admissionregistration::mutating_webhooks(&mut of);
        of
    }

    fn hook() -> Value {
        json!({
            "name": "a.example.com",
            "clientConfig": { "url": "https://example.com" },
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        })
    }

    fn with(field: &str, value: Value) -> Vec<String> {
        let mut hook = hook();
        hook[field] = value;
        texts(&mutating(&configuration(json!([hook]))))
    }

    #[test]
    fn a_webhook_is_named_and_called() {
        assert_eq!(texts(&mutating(&configuration(json!([hook()])))), Vec::<String>::new());
        assert_eq!(
            texts(&mutating(&configuration(json!([{}])))),
            [
                "webhooks[0].name: Required value",
                "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
                "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
                "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
            ]
        );
        assert_eq!(
            texts(&mutating(&configuration(json!([hook(), hook()])))),
            [r#"webhooks[1].name: Duplicate value: "a.example.com""#]
        );
        let both = json!({ "url": "https://example.com", "service": { "name": "a", "namespace": "b" } });
        assert_eq!(with("clientConfig", both).len(), 1);
    }

    #[test]
    fn every_field_has_its_values() {
        for (field, value, text) in [
            ("name", json!("a.b"), "Invalid value: \"a.b\": should be a domain with at least three segments"),
            ("failurePolicy", json!("x"), "Unsupported value: \"x\": supported values: \"Fail\", \"Ignore\""),
            (
                "matchPolicy",
                json!("x"),
                "Unsupported value: \"x\": supported values: \"Equivalent\", \"Exact\"",
            ),
            (
                "reinvocationPolicy",
                json!("x"),
                "Unsupported value: \"x\": supported values: \"IfNeeded\", \"Never\"",
            ),
            (
                "sideEffects",
                json!("Some"),
                "Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
            ),
            (
                "timeoutSeconds",
                json!(31),
                "Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            ),
            (
                "admissionReviewVersions",
                json!(["v2"]),
                "Invalid value: [\"v2\"]: must include at least one of v1, v1beta1",
            ),
        ] {
            let found = with(field, value);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("webhooks[0].{field}: {text}")), "{found:?}");
        }
        let versions = with("admissionReviewVersions", json!(["v1", "v1"]));
        assert_eq!(
            versions,
            [r#"webhooks[0].admissionReviewVersions[1]: Invalid value: "v1": duplicate version"#]
        );
    }

    #[test]
    fn what_an_old_one_breaks_may_stay_broken() {
        let mut wrong = hook();
        wrong["sideEffects"] = json!("Some");
        wrong["admissionReviewVersions"] = json!(["v2"]);
        wrong["matchConditions"] = json!([{ "name": "", "expression": "" }]);
        let old = configuration(json!([wrong, wrong]));
        assert_eq!(mutating_update(&old, &old), []);
        let good = configuration(json!([hook()]));
        assert_eq!(mutating_update(&old, &good).len(), mutating(&old).len());
    }

    #[test]
    fn both_kinds_are_asked_the_same() {
        let mut of: ValidatingWebhookConfiguration =
            serde_json::from_value(json!({ "webhooks": [{}] })).unwrap();
        crate::defaults::admissionregistration::validating_webhooks(&mut of);
        assert_eq!(validating(&of).len(), 4);
        assert_eq!(validating_update(&of, &of).len(), 4);
    }
}
