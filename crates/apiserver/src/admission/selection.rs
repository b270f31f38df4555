//! Which requests selectors select: by the labels of their objects, or of the namespace that these are in.

use gantry_api::Resource as _;
use gantry_api::core::v1::Namespace;
use gantry_api::selector::LabelSelector;
use serde_json::Value;

use super::asked::{Asked, Operation};
use crate::status::ApiError;
use crate::verbs::Verbs;

/// The objects of a request, as JSON of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Objects<'a> {
    /// As it will be; none where it goes.
    pub(crate) new: Option<&'a Value>,
    /// As it is; none where it is new.
    pub(crate) old: Option<&'a Value>,
}

impl Verbs {
    /// Whether the namespace of a request is selected.
    pub(crate) async fn selects_namespace(
        &self,
        selector: &LabelSelector,
        asked: &Asked,
        objects: Objects<'_>,
    ) -> Result<bool, ApiError> {
        let about_namespace = asked.kind == Namespace::kind();
        if asked.namespace.is_empty() && !about_namespace || selector.is_everything() {
            return Ok(true);
        }
        let written = matches!(asked.operation, Operation::Create | Operation::Update);
        if about_namespace && asked.subresource.is_none() && written {
            return Ok(matches(selector, objects.new));
        }
        let cache = self.cache(Namespace::kind())?;
        let found = match cache.peek(&asked.namespace) {
            Some(entry) => Some(entry),
            None => cache.get(&asked.namespace).await?,
        };
        let entry = found.ok_or_else(|| ApiError::not_found(Namespace::kind(), &asked.namespace))?;
        Ok(selector.matches_with(|key| entry.label(key)))
    }
}

/// Whether the object is selected as it is or as it was.
pub(crate) fn selects_object(selector: &LabelSelector, objects: Objects<'_>) -> bool {
    let is = |object: Option<&Value>| {
        object.is_some_and(|object| object.get("metadata").is_some()) && matches(selector, object)
    };
    selector.is_everything() || is(objects.new) || is(objects.old)
}

fn matches(selector: &LabelSelector, object: Option<&Value>) -> bool {
    let labels = object.and_then(|object| object.pointer("/metadata/labels"));
    selector.matches_with(|key| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str))
}
