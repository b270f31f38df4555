//! Asks mutating policies to change the object of a request.

use std::sync::Arc;

use gantry_api::expression::{Budget, Evaluation, Variables};
use gantry_api::meta::v1::StatusCause;
use gantry_api::{Kind, apply};
use serde_json::Value;

use super::evaluate::{COST, COST_OF_ONE, meets, resulted};
use super::policy::{Binding, Mutation, Policy, Rules};
use super::source::Bound;
use crate::admission::ask::authorizer;
use crate::admission::asked::{Asked, SCALE, name_of};
use crate::admission::plugins;
use crate::admission::selection::Objects;
use crate::admission::webhooks::{Round, completed};
use crate::status::ApiError;
use crate::verbs::Verbs;

/// A policy that a request is for, by one of its bindings, with one of its parameters.
struct Invocation {
    policy: Arc<Policy>,
    binding: Arc<Binding>,
    kind: &'static Kind,
    params: Value,
}

impl Invocation {
    /// What tells it from others.
    fn key(&self) -> String {
        let at = |field: &str| self.params.pointer(field).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (at("/metadata/namespace"), at("/metadata/name"));
        format!("{}/{}/{namespace}/{name}", self.policy.name, self.binding.name)
    }
}

/// Why a policy did not change what it should: how a request fails, and whether at once.
enum Failure {
    Policy(String),
    Request(ApiError),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Policy(why)
    }
}

/// What went wrong with policies, in the order in which it did.
#[derive(Default)]
struct Problems(Vec<(String, Option<&'static str>)>);

impl Problems {
    fn add(&mut self, policy: &Policy, binding: Option<&Binding>, why: &str, reason: Option<&'static str>) {
        if policy.ignores_failure {
            tracing::warn!(policy = policy.name, why, "a policy cannot be asked, failing open");
            return;
        }
        let name = &policy.name;
        let text = match binding {
            Some(binding) => {
                format!("policy '{name}' with binding '{}' denied request: {why}", binding.name)
            }
            None => format!("policy {name:?} denied request: {why}"),
        };
        self.0.push((text, reason));
    }

    fn refusal(self, asked: &Asked, name: &str) -> Result<(), ApiError> {
        let Some((first, reason)) = self.0.first() else { return Ok(()) };
        let mut error = ApiError::forbidden(asked.kind, name, first);
        for (text, _) in &self.0 {
            error = error.with_cause(StatusCause { message: text.clone(), ..StatusCause::default() });
        }
        let mut status = error.status().clone();
        status.message.clone_from(first);
        if let Some(reason) = reason {
            (*reason).clone_into(&mut status.reason);
        }
        Err(ApiError::of_status(status))
    }
}

impl Verbs {
    /// Whether there are policies that may change the object of a request.
    pub(crate) fn has_mutating_policies(&self, asked: &Asked) -> bool {
        let on = self.settings().plugins.has(plugins::MUTATING_POLICY);
        on && !asked.is_about_configuration() && !self.mutating_policies().is_empty()
    }

    /// The object as policies leave it, if they change it.
    pub(crate) async fn mutate_by_policies(
        &self,
        asked: &Asked,
        mut object: Value,
        old: Option<&Value>,
        round: &mut Round,
    ) -> Result<Option<Value>, ApiError> {
        if !self.has_mutating_policies(asked) {
            return Ok(None);
        }
        let name = if asked.name.is_empty() { name_of(Some(&object)).to_owned() } else { asked.name.clone() };
        let mut problems = Problems::default();
        let objects = Objects { new: Some(&object), old };
        let found = self.invocations(asked, objects, &mut problems).await?;
        round.begin_policies(&object);
        let mut changed = false;
        let namespace = if found.is_empty() { None } else { self.namespace_object(asked).await? };
        for invocation in &found {
            let Invocation { policy, binding, kind, .. } = invocation;
            let Ok(rules) = &policy.rules else { continue };
            let before = self.recast(asked, object.clone(), asked.kind, kind).await?;
            let old = self.recast_any(asked, old, kind).await?;
            let request = Value::Object(asked.request(kind, &name));
            let mut input = Input {
                asked,
                invocation,
                request: &request,
                name: &name,
                old: old.as_ref(),
                namespace: namespace.as_ref(),
                object: before.clone(),
            };
            match input.meets(rules) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => {
                    problems.add(policy, Some(binding), &why, Some("Invalid"));
                    continue;
                }
            }
            if !round.asks_policy(&invocation.key()) {
                continue;
            }
            for mutation in &rules.mutations {
                match input.mutate(rules, mutation) {
                    Ok(()) => {}
                    Err(Failure::Policy(why)) => problems.add(policy, Some(binding), &why, Some("Invalid")),
                    Err(Failure::Request(error)) => return Err(error),
                }
            }
            if input.object != before {
                object = self.recast(asked, input.object, kind, asked.kind).await?;
                changed = true;
                round.policy_changed();
            }
            if policy.reinvoked {
                round.policy_asked(invocation.key());
            }
        }
        round.end_policies(&object);
        problems.refusal(asked, &name)?;
        Ok(changed.then_some(object))
    }

    /// The policies that a request is for.
    async fn invocations(
        &self,
        asked: &Asked,
        objects: Objects<'_>,
        problems: &mut Problems,
    ) -> Result<Vec<Invocation>, ApiError> {
        let mut found = Vec::new();
        for Bound { policy, bindings } in self.mutating_policies().current().iter() {
            let Some(kind) = self.matched(&policy.constraints, asked) else { continue };
            match self.selected(&policy.constraints, asked, objects).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    problems.add(policy, None, &format!("failed to configure policy: {error}"), None);
                    continue;
                }
            }
            if let Err(why) = &policy.rules {
                problems.add(policy, None, &format!("failed to configure policy: {why}"), None);
                continue;
            }
            for binding in bindings {
                if self.matched(&binding.constraints, asked).is_none() {
                    continue;
                }
                let misconfigured = |why: String| format!("failed to configure binding: {why}");
                match self.selected(&binding.constraints, asked, objects).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(error) => {
                        problems.add(policy, Some(binding), &misconfigured(error.to_string()), None);
                        continue;
                    }
                }
                match self.params(policy.params.as_ref(), binding.params.as_ref(), &asked.namespace).await {
                    Ok(params) => found.extend(params.into_iter().map(|params| Invocation {
                        policy: policy.clone(),
                        binding: binding.clone(),
                        kind,
                        params,
                    })),
                    Err(why) => problems.add(policy, Some(binding), &misconfigured(why), None),
                }
            }
        }
        Ok(found)
    }
}

/// What a policy looks at, and the object as it has become.
struct Input<'a> {
    asked: &'a Asked,
    invocation: &'a Invocation,
    request: &'a Value,
    name: &'a str,
    old: Option<&'a Value>,
    namespace: Option<&'a Value>,
    object: Value,
}

impl Input<'_> {
    fn variables(&self) -> Variables<'_> {
        let (by, about) = authorizer(self.asked, self.name);
        Variables::default()
            .with("object", Some(&self.object))
            .with("oldObject", self.old)
            .with("request", Some(self.request))
            .with("params", Some(&self.invocation.params))
            .with("namespaceObject", self.namespace)
            .with_authorizer(by, about)
    }

    fn meets(&self, rules: &Rules) -> Result<bool, String> {
        let mut evaluation = Evaluation::new(self.variables(), &rules.composition, COST_OF_ONE);
        meets(rules, &mut evaluation, &mut Budget::new(COST))
    }

    fn mutate(&mut self, rules: &Rules, mutation: &Mutation) -> Result<(), Failure> {
        if let Some(after) = self.mutated(rules, mutation)? {
            self.object = after;
        }
        Ok(())
    }

    fn mutated(&self, rules: &Rules, mutation: &Mutation) -> Result<Option<Value>, Failure> {
        let mut evaluation = Evaluation::new(self.variables(), &rules.composition, COST_OF_ONE);
        let mut budget = Budget::new(COST);
        let after = match mutation {
            Mutation::Configuration(expression) => {
                let made = evaluation.configuration(expression, &mut budget);
                self.merged(made.map_err(|error| resulted(expression, &error))??)?
            }
            Mutation::Patch(expression) => {
                let operations = evaluation.operations(expression, &mut budget);
                let operations = operations.map_err(|error| resulted(expression, &error))??;
                match patched(&self.object, operations)? {
                    Some(after) => after,
                    None => return Ok(None),
                }
            }
        };
        match self.asked.shape {
            Some(_) => Ok(Some(after)),
            None => completed(self.invocation.kind, after).map(Some).map_err(Failure::Request),
        }
    }

    fn merged(&self, mut configuration: Value) -> Result<Value, String> {
        for field in ["apiVersion", "kind"] {
            configuration[field] = self.object[field].clone();
        }
        // Of what is sent in a shape of its own, only a Scale has a schema here.
        let message = self.asked.shape.map(|shape| match shape {
            SCALE => "k8s.io.api.autoscaling.v1.Scale",
            (_, _, name) => name,
        });
        apply::mutate(self.invocation.kind, message, &self.object, &configuration)
            .map_err(|why| format!("error applying patch: {why}"))
    }
}

/// The object after operations; none where a test among them fails.
fn patched(object: &Value, operations: Value) -> Result<Option<Value>, String> {
    let patch: json_patch::Patch =
        serde_json::from_value(operations).map_err(|error| format!("JSONPath: {error}"))?;
    let mut after = object.clone();
    match json_patch::patch(&mut after, &patch) {
        Ok(()) => Ok(Some(after)),
        Err(error) if matches!(error.kind, json_patch::PatchErrorKind::TestFailed) => Ok(None),
        Err(error) => Err(format!("JSONPath: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_test_that_fails_keeps_the_object() {
        let object = json!({"a": 1});
        let add = json!({"op": "add", "path": "/b", "value": 2});
        let test = |value: i64| json!([{"op": "test", "path": "/a", "value": value}, add]);
        assert_eq!(patched(&object, test(1)), Ok(Some(json!({"a": 1, "b": 2}))));
        assert_eq!(patched(&object, test(2)), Ok(None));
        let gone = json!([{"op": "remove", "path": "/none"}]);
        assert!(patched(&object, gone).unwrap_err().starts_with("JSONPath: "));
    }
}
