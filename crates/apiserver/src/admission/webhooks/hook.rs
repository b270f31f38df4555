//! A webhook as its configuration describes it, ready to be asked.

use std::time::Duration;

use gantry_api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, RuleWithOperations, ValidatingWebhook,
};
use gantry_api::expression::{Expression, OF_WEBHOOKS};
use gantry_api::selector::LabelSelector;

use crate::webhook::Endpoint;

/// How long a webhook may take that does not say.
const TIMEOUT: i32 = 10;

/// In which words a webhook is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReviewVersion {
    V1,
    V1Beta1,
}

/// A webhook.
#[derive(Debug)]
pub(crate) struct Hook {
    /// Configuration, name and place: what tells it from others.
    pub(super) uid: String,
    pub(super) name: String,
    pub(super) mutating: bool,
    pub(super) endpoint: Result<Endpoint, String>,
    pub(super) rules: Vec<RuleWithOperations>,
    /// Whether rules also match by other versions of the same objects.
    pub(super) equivalent: bool,
    /// Whether requests go on where it cannot be asked.
    pub(super) ignores_failure: bool,
    pub(super) namespaces: Result<LabelSelector, String>,
    pub(super) objects: Result<LabelSelector, String>,
    /// Whether it may be asked in a dry run.
    pub(super) dry_runs: bool,
    pub(super) timeout: Duration,
    /// None where it knows none that the server knows.
    pub(super) version: Option<ReviewVersion>,
    /// Whether it is asked again where others change the object after it.
    pub(super) reinvoked: bool,
    pub(super) conditions: Vec<Result<Expression, String>>,
}

impl Hook {
    /// Those of a configuration that changes objects.
    pub(super) fn mutating(configuration: &str, webhooks: &[MutatingWebhook]) -> Vec<Self> {
        let hook = |(index, webhook)| Self::new(format!("{configuration}/{index}"), webhook, true);
        webhooks.iter().enumerate().map(hook).collect()
    }

    /// Those of a configuration that only says yes or no.
    pub(super) fn validating(configuration: &str, webhooks: &[ValidatingWebhook]) -> Vec<Self> {
        let hook = |(index, webhook): (usize, &ValidatingWebhook)| {
            let webhook = webhook.clone();
            let webhook = MutatingWebhook {
                name: webhook.name,
                client_config: webhook.client_config,
                rules: webhook.rules,
                failure_policy: webhook.failure_policy,
                match_policy: webhook.match_policy,
                namespace_selector: webhook.namespace_selector,
                object_selector: webhook.object_selector,
                side_effects: webhook.side_effects,
                timeout_seconds: webhook.timeout_seconds,
                admission_review_versions: webhook.admission_review_versions,
                reinvocation_policy: None,
                match_conditions: webhook.match_conditions,
            };
            Self::new(format!("{configuration}/{index}"), &webhook, false)
        };
        webhooks.iter().enumerate().map(hook).collect()
    }

    fn new(place: String, webhook: &MutatingWebhook, mutating: bool) -> Self {
        let selector = |selector: &Option<_>| match selector {
            Some(selector) => LabelSelector::from_meta(Some(selector)).map_err(|error| error.to_string()),
            None => Ok(LabelSelector::everything()),
        };
        let seconds = u64::try_from(webhook.timeout_seconds.unwrap_or(TIMEOUT)).unwrap_or_default().max(1);
        let known = |version: &String| match version.as_str() {
            "v1" => Some(ReviewVersion::V1),
            "v1beta1" => Some(ReviewVersion::V1Beta1),
            _ => None,
        };
        let side_effects = webhook.side_effects.as_deref();
        Self {
            uid: format!("{place}/{}", webhook.name),
            name: webhook.name.clone(),
            mutating,
            endpoint: Endpoint::of(&webhook.client_config.clone().unwrap_or_default()),
            rules: webhook.rules.clone(),
            equivalent: webhook.match_policy.as_deref() != Some("Exact"),
            ignores_failure: webhook.failure_policy.as_deref() == Some("Ignore"),
            namespaces: selector(&webhook.namespace_selector),
            objects: selector(&webhook.object_selector),
            dry_runs: matches!(side_effects, Some("None" | "NoneOnDryRun")),
            timeout: Duration::from_secs(seconds),
            version: webhook.admission_review_versions.iter().find_map(known),
            reinvoked: webhook.reinvocation_policy.as_deref() == Some("IfNeeded"),
            conditions: webhook.match_conditions.iter().map(condition).collect(),
        }
    }

    /// `admit` or `validating`, as metrics say.
    pub(super) fn r#type(&self) -> &'static str {
        if self.mutating { "admit" } else { "validating" }
    }
}

fn condition(condition: &MatchCondition) -> Result<Expression, String> {
    Expression::compile(&condition.expression, &OF_WEBHOOKS)
        .map_err(|error| format!("compilation failed: {error}"))
}
