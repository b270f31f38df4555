//! Asks policies about requests.

use gantry_api::admissionregistration::v1::NamedRuleWithOperations;
use gantry_api::core::v1::Namespace;
use gantry_api::meta::v1::StatusCause;
use gantry_api::{Kind, Object, Resource};
use serde::Serialize;
use serde_json::Value;

use super::evaluate::{Denial, Input, denials};
use super::policy::{Binding, Constraints, Policy};
use super::source::Bound;
use crate::admission::ask::authorizer;
use crate::admission::asked::{Asked, name_of, typed};
use crate::admission::plugins;
use crate::admission::selection::{Objects, selects_object};
use crate::authorization::Requester;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// The objects of a request as each kind that a policy wants them in.
type Render<'a> =
    dyn Fn(&'static Kind) -> Result<(Option<Value>, Option<Value>), ApiError> + Send + Sync + 'a;

impl Verbs {
    /// Asks policies about the objects of a request.
    pub(crate) async fn ask_policies(
        &self,
        asked: &Asked,
        new: Option<&dyn Object>,
        old: Option<&dyn Object>,
    ) -> Result<(), ApiError> {
        let json = |object: Option<&dyn Object>, kind| object.map(|it| asked.render(it, kind)).transpose();
        self.ask_bound(asked, &|kind| Ok((json(new, kind)?, json(old, kind)?))).await
    }

    /// The same about what is sent in a shape of its own.
    pub(crate) async fn ask_policies_about<T: Serialize + Sync>(
        &self,
        asked: &Asked,
        new: &T,
        old: Option<&T>,
    ) -> Result<(), ApiError> {
        let old = |_: ()| old.map(|old| asked.render_message(old)).transpose();
        self.ask_bound(asked, &|_| Ok((Some(asked.render_message(new)?), old(())?))).await
    }

    async fn ask_bound(&self, asked: &Asked, render: &Render<'_>) -> Result<(), ApiError> {
        let on = self.settings().plugins.has(plugins::VALIDATING_POLICY);
        if asked.is_about_configuration() || !on {
            return Ok(());
        }
        // All are asked, since those that only warn do so whatever others say; the first no is the answer.
        let mut refused = None;
        for bound in self.policies().current().iter() {
            self.ask_policy(asked, bound, render, &mut refused).await?;
        }
        refused.map_or(Ok(()), Err)
    }

    async fn ask_policy(
        &self,
        asked: &Asked,
        bound: &Bound,
        render: &Render<'_>,
        refused: &mut Option<ApiError>,
    ) -> Result<(), ApiError> {
        let Bound { policy, bindings } = bound;
        let Some(kind) = self.matched(&policy.constraints, asked) else { return Ok(()) };
        let (new, old) = if kind.is_custom() && kind != asked.kind {
            let (new, old) = render(asked.kind)?;
            let new = self.recast_any(asked, new.as_ref(), kind).await?;
            (new, self.recast_any(asked, old.as_ref(), kind).await?)
        } else {
            render(kind)?
        };
        let objects = Objects { new: new.as_ref(), old: old.as_ref() };
        let name = if asked.name.is_empty() { name_of(objects.new) } else { &asked.name };
        let misconfigured = |binding: Option<&Binding>, why: String| {
            if policy.ignores_failure {
                tracing::warn!(policy = policy.name, why, "a policy cannot be asked, failing open");
                return None;
            }
            let what = if binding.is_some() { "binding" } else { "policy" };
            let message = format!("failed to configure {what}: {why}");
            Some(refusal(asked, name, policy, binding, &Denial { message, reason: "Invalid".to_owned() }))
        };
        match self.selected(&policy.constraints, asked, objects).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                note(refused, misconfigured(None, error.to_string()));
                return Ok(());
            }
        }
        let rules = match &policy.rules {
            Ok(rules) => rules,
            Err(why) => {
                note(refused, misconfigured(None, why.clone()));
                return Ok(());
            }
        };
        let request = Value::Object(asked.request(kind, name));
        let namespace = self.namespace_object(asked).await?;
        for binding in bindings {
            if self.matched(&binding.constraints, asked).is_none() {
                continue;
            }
            match self.selected(&binding.constraints, asked, objects).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    note(refused, misconfigured(Some(binding), error.to_string()));
                    continue;
                }
            }
            let params = self.params(policy.params.as_ref(), binding.params.as_ref(), &asked.namespace).await;
            let params = match params {
                Ok(params) => params,
                Err(why) => {
                    note(refused, misconfigured(Some(binding), why));
                    continue;
                }
            };
            for params in &params {
                let input = Input {
                    object: objects.new,
                    old: objects.old,
                    request: Some(&request),
                    params: Some(params),
                    namespace: namespace.as_ref(),
                    authorizer: authorizer(asked, name),
                };
                for denial in denials(policy, rules, input) {
                    note(refused, act(asked, name, policy, binding, &denial));
                }
            }
        }
        Ok(())
    }

    /// The kind by which the rules match, if they do.
    pub(super) fn matched(&self, constraints: &Constraints, asked: &Asked) -> Option<&'static Kind> {
        let one = |rules: &[NamedRuleWithOperations]| {
            let by = |kind: &'static Kind, rule: &NamedRuleWithOperations| {
                let named = rule.resource_names.is_empty() || rule.resource_names.contains(&asked.name);
                let wanted = asked.wanted(kind);
                named && rule.rule_with_operations.as_ref().is_some_and(|rule| wanted.matches(rule))
            };
            if rules.iter().any(|rule| by(asked.kind, rule)) {
                return Some(asked.kind);
            }
            if !constraints.equivalent {
                return None;
            }
            let others = asked.equivalents(&self.catalog());
            rules.iter().find_map(|rule| others.iter().copied().find(|kind| by(kind, rule)))
        };
        if one(&constraints.excluded).is_some() {
            return None;
        }
        if constraints.rules.is_empty() { Some(asked.kind) } else { one(&constraints.rules) }
    }

    /// Whether the selectors match.
    pub(super) async fn selected(
        &self,
        constraints: &Constraints,
        asked: &Asked,
        objects: Objects<'_>,
    ) -> Result<bool, ApiError> {
        if let Some(selector) = &constraints.namespaces {
            let selector = selector.as_ref().map_err(ApiError::internal)?;
            if !self.selects_namespace(selector, asked, objects).await? {
                return Ok(false);
            }
        }
        match &constraints.objects {
            Some(selector) => Ok(selects_object(selector.as_ref().map_err(ApiError::internal)?, objects)),
            None => Ok(true),
        }
    }

    /// The namespace of a request, as expressions see it.
    pub(super) async fn namespace_object(&self, asked: &Asked) -> Result<Option<Value>, ApiError> {
        if asked.namespace.is_empty() || asked.kind == <Namespace as Resource>::kind() {
            return Ok(None);
        }
        let cache = self.cache(<Namespace as Resource>::kind())?;
        let found = match cache.peek(&asked.namespace) {
            Some(entry) => Some(entry),
            None => cache.get(&asked.namespace).await?,
        };
        let Some(entry) = found else { return Ok(None) };
        let value = entry.object()?.to_value().map_err(ApiError::internal)?;
        Ok(Some(typed(value, "v1", "Namespace")))
    }
}

/// Keeps a refusal, if it is the first.
fn note(refused: &mut Option<ApiError>, another: Option<ApiError>) {
    if refused.is_none() {
        *refused = another;
    }
}

/// Does what the binding says about a no.
fn act(asked: &Asked, name: &str, policy: &Policy, binding: &Binding, denial: &Denial) -> Option<ApiError> {
    if binding.warns
        && let Some(requester) = Requester::current()
    {
        requester.warn([format!(
            "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
            policy.name, binding.name, denial.message
        )]);
    }
    binding.denies.then(|| refusal(asked, name, policy, Some(binding), denial))
}

fn refusal(
    asked: &Asked,
    name: &str,
    policy: &Policy,
    binding: Option<&Binding>,
    denial: &Denial,
) -> ApiError {
    let with = binding.map(|binding| format!(" with binding '{}'", binding.name)).unwrap_or_default();
    let text =
        format!("ValidatingAdmissionPolicy '{}'{with} denied request: {}", policy.name, denial.message);
    let cause = StatusCause { message: text.clone(), ..StatusCause::default() };
    let mut status = ApiError::forbidden(asked.kind, name, &text).with_cause(cause).status().clone();
    status.code = match denial.reason.as_str() {
        "Unauthorized" => 401,
        "Forbidden" => 403,
        "RequestEntityTooLarge" => 413,
        _ => 422,
    };
    status.reason.clone_from(&denial.reason);
    ApiError::of_status(status)
}
