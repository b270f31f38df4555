//! Which webhooks a request is for.

use std::sync::Arc;

use gantry_api::Kind;
use gantry_api::expression::{Budget, Variables};
use serde_json::Value;

use super::hook::Hook;
use crate::admission::ask::authorizer;
use crate::admission::asked::{Asked, name_of};
use crate::admission::plugins;
use crate::admission::selection::{Objects, selects_object};
use crate::catalog::Catalog;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// What the conditions of a webhook may cost together.
const COST: u64 = 2_500_000;

/// A webhook whose rules match, and as what it wants the objects.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    pub(super) hook: Arc<Hook>,
    pub(super) kind: &'static Kind,
}

/// The webhooks whose rules match a request.
fn by_rules(hooks: &[Arc<Hook>], asked: &Asked, catalog: &Catalog) -> Vec<Invocation> {
    if asked.is_about_configuration() {
        return Vec::new();
    }
    let mut equivalents = None;
    let mut found = Vec::new();
    for hook in hooks {
        let direct = asked.wanted(asked.kind);
        if hook.rules.iter().any(|rule| direct.matches(rule)) {
            found.push(Invocation { hook: hook.clone(), kind: asked.kind });
        } else if hook.equivalent {
            let others = equivalents.get_or_insert_with(|| asked.equivalents(catalog));
            // Earlier rules come first.
            let by_rule = |rule| others.iter().find(|kind| asked.wanted(kind).matches(rule));
            if let Some(kind) = hook.rules.iter().find_map(by_rule) {
                found.push(Invocation { hook: hook.clone(), kind });
            }
        }
    }
    found
}

impl Verbs {
    /// The webhooks whose rules match a request, of those that change objects.
    pub(super) fn mutating_for(&self, asked: &Asked) -> Vec<Invocation> {
        if !self.settings().plugins.has(plugins::MUTATING_WEBHOOK) {
            return Vec::new();
        }
        by_rules(&self.hooks().mutating(), asked, &self.catalog())
    }

    /// The webhooks whose rules match a request, of those that say yes or no.
    pub(super) fn validating_for(&self, asked: &Asked) -> Vec<Invocation> {
        if !self.settings().plugins.has(plugins::VALIDATING_WEBHOOK) {
            return Vec::new();
        }
        by_rules(&self.hooks().validating(), asked, &self.catalog())
    }

    /// Whether the selectors of a webhook match.
    pub(super) async fn selects(
        &self,
        hook: &Hook,
        asked: &Asked,
        objects: Objects<'_>,
    ) -> Result<bool, ApiError> {
        let by_namespace = match &hook.namespaces {
            Ok(selector) => self.selects_namespace(selector, asked, objects).await,
            Err(why) => Err(ApiError::internal(why)),
        };
        if matches!(by_namespace, Ok(false)) {
            return Ok(false);
        }
        let selector = hook.objects.as_ref().map_err(ApiError::internal);
        let by_object = selector.map(|selector| selects_object(selector, objects));
        if matches!(by_object, Ok(false)) {
            return Ok(false);
        }
        Ok(by_namespace? && by_object?)
    }
}

/// Whether the conditions of a webhook hold. One that does not is enough, whatever is wrong with others.
pub(super) fn meets(invocation: &Invocation, asked: &Asked, objects: Objects<'_>) -> Result<bool, ApiError> {
    let Invocation { hook, kind } = invocation;
    if hook.conditions.is_empty() {
        return Ok(true);
    }
    let name = if asked.name.is_empty() { name_of(objects.new) } else { &asked.name };
    let request = Value::Object(asked.request(kind, name));
    let (by, about) = authorizer(asked, name);
    let variables = Variables::default()
        .with("object", objects.new)
        .with("oldObject", objects.old)
        .with("request", Some(&request))
        .with_authorizer(by, about);
    let mut budget = Budget::new(COST);
    let mut failures = Vec::new();
    for condition in &hook.conditions {
        match condition {
            Ok(condition) => match condition.holds(&variables, &mut budget) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) if error.is_too_expensive() => {
                    failures.push(
                        "validation failed due to running out of cost budget, no further validation rules will be run"
                            .to_owned(),
                    );
                    break;
                }
                Err(error) => {
                    failures.push(format!("expression '{}' resulted in error: {error}", condition.text()));
                }
            },
            Err(error) => failures.push(error.clone()),
        }
    }
    match failures.as_slice() {
        [] => Ok(true),
        _ if hook.ignores_failure => Ok(false),
        [one] => Err(ApiError::forbidden(asked.kind, name, one)),
        several => Err(ApiError::forbidden(asked.kind, name, &format!("[{}]", several.join(", ")))),
    }
}
