//! Webhooks that change objects, one after the other.

use std::collections::HashSet;

use gantry_api::{Kind, Object, convert};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call::Failure;
use super::relevant::{Invocation, meets};
use super::review::Verdict;
use crate::admission::asked::{Asked, Operation};
use crate::admission::selection::Objects;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// What policies and webhooks have done to an object, for those that want to see what others did after them.
#[derive(Debug, Default)]
pub(crate) struct Round {
    hooks: Askers,
    policies: Askers,
    second: bool,
    changed: bool,
}

/// Those of one plugin that change objects.
#[derive(Debug, Default)]
struct Askers {
    /// Those that are asked again where the object changes.
    before: Vec<String>,
    /// Those that are to be asked again.
    again: HashSet<String>,
    /// The object when the last of them had been asked.
    last: Option<Value>,
}

impl Askers {
    fn changed(&mut self) {
        self.again.extend(self.before.drain(..));
    }
}

impl Round {
    /// Begins the second round; says whether there is to be one.
    pub(crate) fn again(&mut self) -> bool {
        let begin = self.changed && !self.second;
        self.second = true;
        begin
    }

    fn changed(&mut self) {
        self.changed = true;
        self.hooks.changed();
    }

    /// Policies are about to be asked about an object.
    pub(crate) fn begin_policies(&mut self, object: &Value) {
        if self.second && self.policies.last.as_ref() != Some(object) {
            self.policies.changed();
        }
    }

    /// Whether a policy is asked in this round.
    pub(crate) fn asks_policy(&self, key: &str) -> bool {
        !self.second || self.policies.again.contains(key)
    }

    /// A policy has changed the object.
    pub(crate) fn policy_changed(&mut self) {
        self.changed = true;
        self.policies.changed();
    }

    /// A policy has been asked that wants to see what others do after it.
    pub(crate) fn policy_asked(&mut self, key: String) {
        self.policies.before.push(key);
    }

    /// All policies have been asked.
    pub(crate) fn end_policies(&mut self, object: &Value) {
        self.policies.last = Some(object.clone());
    }
}

impl Verbs {
    /// Lets webhooks change the object of a request.
    pub(crate) async fn mutate(
        &self,
        asked: &Asked,
        object: Box<dyn Object>,
        old: Option<&dyn Object>,
        round: &mut Round,
    ) -> Result<Box<dyn Object>, ApiError> {
        let found = self.mutating_for(asked);
        if found.is_empty() && !self.has_mutating_policies(asked) {
            return Ok(object);
        }
        let before = new_object(asked, asked.render(&*object, asked.kind)?);
        let old = old.map(|old| asked.render(old, asked.kind)).transpose()?;
        let Some(changed) = self.mutate_by_all(asked, &found, before, old, round).await? else {
            return Ok(object);
        };
        decoded(asked, object.as_ref(), changed)
    }

    /// The same for what is sent in a shape of its own.
    pub(crate) async fn mutate_message<T: Serialize + DeserializeOwned>(
        &self,
        asked: &Asked,
        message: T,
        old: Option<&T>,
    ) -> Result<T, ApiError> {
        let found = self.mutating_for(asked);
        if found.is_empty() && !self.has_mutating_policies(asked) {
            return Ok(message);
        }
        let mut value = asked.render_message(&message)?;
        let old = old.map(|old| asked.render_message(old)).transpose()?;
        let mut round = Round::default();
        let mut is_changed = false;
        loop {
            let outcome = self.mutate_by_all(asked, &found, value.clone(), old.clone(), &mut round);
            if let Some(changed) = outcome.await? {
                (value, is_changed) = (changed, true);
            }
            if !round.again() {
                break;
            }
        }
        if !is_changed {
            return Ok(message);
        }
        serde_json::from_value(value).map_err(ApiError::internal)
    }

    /// Asks webhooks that may change objects about one that goes.
    pub(crate) async fn mutate_deletion(&self, asked: &Asked, old: &dyn Object) -> Result<(), ApiError> {
        let found = self.mutating_for(asked);
        if found.is_empty() {
            return Ok(());
        }
        let old = asked.render(old, asked.kind)?;
        self.mutate_json(asked, &found, None, Some(old), &mut Round::default()).await.map(drop)
    }

    /// The object as policies and then webhooks leave it, if they change it.
    async fn mutate_by_all(
        &self,
        asked: &Asked,
        found: &[Invocation],
        object: Value,
        old: Option<Value>,
        round: &mut Round,
    ) -> Result<Option<Value>, ApiError> {
        let by_policies = self.mutate_by_policies(asked, object.clone(), old.as_ref(), round).await?;
        if found.is_empty() {
            return Ok(by_policies);
        }
        let object = by_policies.clone().unwrap_or(object);
        let by_webhooks = self.mutate_json(asked, found, Some(object), old, round).await?;
        Ok(by_webhooks.or(by_policies))
    }

    /// The object as the webhooks leave it, if they change it.
    async fn mutate_json(
        &self,
        asked: &Asked,
        found: &[Invocation],
        mut object: Option<Value>,
        old: Option<Value>,
        round: &mut Round,
    ) -> Result<Option<Value>, ApiError> {
        if round.second && round.hooks.last != object {
            // What the server itself has changed since counts, too.
            round.changed();
        }
        let mut changed = false;
        for invocation in found {
            let (hook, kind) = (&*invocation.hook, invocation.kind);
            let selected = Objects { new: object.as_ref(), old: old.as_ref() };
            if !self.selects(hook, asked, selected).await? {
                continue;
            }
            let before = self.recast_any(asked, object.as_ref(), kind).await?;
            let old = self.recast_any(asked, old.as_ref(), kind).await?;
            let objects = Objects { new: before.as_ref(), old: old.as_ref() };
            if !meets(invocation, asked, objects)? {
                continue;
            }
            if round.second && !round.hooks.again.contains(&hook.uid) {
                continue;
            }
            let after = match self.ask(invocation, asked, objects).await {
                Ok(verdict) => patched(invocation, asked, &verdict, before.as_ref())?,
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Calling(why)) if hook.ignores_failure => {
                    tracing::warn!(webhook = hook.name, why, "failed calling webhook, failing open");
                    None
                }
                Err(Failure::Calling(why)) => return Err(ApiError::internal(why)),
            };
            if let Some(after) = after.filter(|after| Some(after) != before.as_ref()) {
                object = Some(self.recast(asked, after, kind, asked.kind).await?);
                changed = true;
                round.changed();
            }
            if hook.reinvoked {
                round.hooks.before.push(hook.uid.clone());
            }
        }
        round.hooks.last.clone_from(&object);
        Ok(object.filter(|_| changed))
    }
}

/// The object after the patch of an answer; none where it has no patch.
fn patched(
    invocation: &Invocation,
    asked: &Asked,
    verdict: &Verdict,
    object: Option<&Value>,
) -> Result<Option<Value>, ApiError> {
    let name = &invocation.hook.name;
    if verdict.patch.is_empty() {
        return Ok(None);
    }
    let patch: json_patch::Patch = serde_json::from_slice(&verdict.patch).map_err(ApiError::internal)?;
    if patch.0.is_empty() {
        return Ok(None);
    }
    let Some(object) = object else {
        return Err(ApiError::internal(format_args!(
            "admission webhook {name:?} attempted to modify the object, which is not supported for this operation"
        )));
    };
    if verdict.patch_type != "JSONPatch" {
        let why = format!("unsupported patch type {:?}", verdict.patch_type);
        return Err(ApiError::internal(format_args!("failed calling webhook {name:?}: {why}")));
    }
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).map_err(ApiError::internal)?;
    if asked.shape.is_some() {
        return Ok(Some(object));
    }
    completed(invocation.kind, object).map(Some)
}

/// Fills what a patch left open.
pub(crate) fn completed(kind: &'static Kind, value: Value) -> Result<Value, ApiError> {
    let (api_version, name) = (value.get("apiVersion").cloned(), value.get("kind").cloned());
    if api_version != Some(kind.api_version().into()) || name != Some(kind.kind.into()) {
        return Err(ApiError::internal(format_args!(
            "the patch changes apiVersion or kind, which must stay {} and {}",
            kind.api_version(),
            kind.kind
        )));
    }
    let mut object = kind.decode_value(value).map_err(unreadable)?;
    object.strategy_mut().set_defaults();
    let mut value = object.to_value().map_err(ApiError::internal)?;
    if let Value::Object(fields) = &mut value {
        fields.insert("apiVersion".to_owned(), kind.api_version().into());
        fields.insert("kind".to_owned(), kind.kind.into());
    }
    Ok(value)
}

fn unreadable(error: gantry_api::DecodeError) -> ApiError {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    ApiError::internal(format_args!("{error}{cause}"))
}

/// A new object as it was sent: what the server has said of it since is for those who come later.
fn new_object(asked: &Asked, mut value: Value) -> Value {
    if asked.operation == Operation::Create
        && let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut)
    {
        for field in ["uid", "creationTimestamp", "generation"] {
            meta.remove(field);
        }
        if asked.name.is_empty() {
            meta.remove("name");
        }
    }
    value
}

/// The object that came of it, in the words in which it was before, with what the server says of a new one.
fn decoded(asked: &Asked, before: &dyn Object, value: Value) -> Result<Box<dyn Object>, ApiError> {
    let object = asked.kind.decode_value(value).map_err(unreadable)?;
    let mut object = if object.kind() == before.kind() {
        object
    } else {
        let strange = || ApiError::internal(format_args!("{} has no conversion", object.kind().kind));
        convert::convert(&*object, before.kind()).ok_or_else(strange)?
    };
    if asked.operation == Operation::Create {
        let (new, old) = (object.meta_mut(), before.meta());
        new.uid.clone_from(&old.uid);
        new.creation_timestamp = old.creation_timestamp;
        new.generation = old.generation;
        if new.name.is_empty() {
            new.name.clone_from(&old.name);
        }
        if new.namespace != old.namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    object.strategy_mut().set_defaults();
    Ok(object)
}
