//! Questions about access.

use serde_json::Value;

use super::common::shown;
use crate::authorization::v1::{
    LocalSubjectAccessReview, NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview,
    SubjectAccessReview, SubjectAccessReviewSpec,
};
use crate::field::{Error, ErrorList, Path};
use crate::meta::v1::ObjectMeta;

pub(crate) fn self_subject_access_review(review: &SelfSubjectAccessReview) -> ErrorList {
    let spec = review.spec.clone().unwrap_or_default();
    let mut errors = ErrorList::new();
    request(&mut errors, spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
    no_metadata(&mut errors, review.metadata.as_ref(), false);
    errors
}

pub(crate) fn subject_access_review(review: &SubjectAccessReview) -> ErrorList {
    let mut errors = ErrorList::new();
    subject(&mut errors, &review.spec.clone().unwrap_or_default());
    no_metadata(&mut errors, review.metadata.as_ref(), false);
    errors
}

pub(crate) fn local_subject_access_review(review: &LocalSubjectAccessReview) -> ErrorList {
    let spec = review.spec.clone().unwrap_or_default();
    let mut errors = ErrorList::new();
    subject(&mut errors, &spec);
    no_metadata(&mut errors, review.metadata.as_ref(), true);
    let namespace = review.metadata.as_ref().map_or("", |meta| &meta.namespace);
    let path = Path::new("spec").child("resourceAttributes").child("namespace");
    match &spec.resource_attributes {
        Some(resource) if resource.namespace != namespace => {
            let rule = "must match metadata.namespace";
            errors.push(Error::invalid(path, resource.namespace.as_str(), rule));
        }
        _ => {}
    }
    if let Some(other) = &spec.non_resource_attributes {
        let path = Path::new("spec").child("nonResourceAttributes");
        errors.push(Error::invalid(path, shown(other), "disallowed on this kind of request"));
    }
    errors
}

fn subject(errors: &mut ErrorList, spec: &SubjectAccessReviewSpec) {
    request(errors, spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
    if spec.user.is_empty() && spec.groups.is_empty() {
        let rule = "at least one of user or group must be specified";
        errors.push(Error::invalid(Path::new("spec").child("user"), "", rule));
    }
}

fn request(
    errors: &mut ErrorList,
    resource: Option<&ResourceAttributes>,
    other: Option<&NonResourceAttributes>,
) {
    let spec = Path::new("spec");
    match (resource, other) {
        (Some(_), Some(other)) => {
            let rule = "cannot be specified in combination with resourceAttributes";
            errors.push(Error::invalid(spec.child("nonResourceAttributes"), shown(other), rule));
        }
        (None, None) => {
            let rule = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(Error::invalid(spec.child("resourceAttributes"), Value::Null, rule));
        }
        _ => {}
    }
}

/// A question is no object: it has no name and no labels.
fn no_metadata(errors: &mut ErrorList, meta: Option<&ObjectMeta>, namespaced: bool) {
    let mut meta = meta.cloned().unwrap_or_default();
    meta.managed_fields.clear();
    if namespaced {
        meta.namespace.clear();
    }
    if meta != ObjectMeta::default() {
        let rule = if namespaced { "must be empty except for namespace" } else { "must be empty" };
        errors.push(Error::invalid(Path::new("metadata"), shown(&meta), rule));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validation::common::texts;

    fn subject(value: Value) -> Vec<String> {
        texts(&subject_access_review(&serde_json::from_value(value).unwrap()))
    }

    #[test]
    fn a_question_is_about_one_request_of_somebody() {
        let pods = json!({"resource": "pods", "verb": "get"});
        let path = json!({"path": "/x", "verb": "get"});
        assert_eq!(subject(json!({"spec": {"user": "jane", "resourceAttributes": pods}})), [""; 0]);
        assert_eq!(subject(json!({"spec": {"groups": ["dev"], "nonResourceAttributes": path}})), [""; 0]);
        assert_eq!(
            subject(json!({})),
            [
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or \
                 resourceAttributes must be specified",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
            ]
        );
        let both = json!({"user": "jane", "resourceAttributes": pods, "nonResourceAttributes": path});
        assert_eq!(
            subject(json!({"spec": both, "metadata": {"name": "x"}})),
            [
                "spec.nonResourceAttributes: Invalid value: {\"path\":\"/x\",\"verb\":\"get\"}: cannot be specified in \
                 combination with resourceAttributes",
                "metadata: Invalid value: {\"name\":\"x\"}: must be empty",
            ]
        );
    }

    #[test]
    fn a_local_question_is_about_its_namespace() {
        let ask = |namespace: &str| {
            let spec = json!({"user": "jane", "resourceAttributes": {"namespace": namespace, "verb": "get"}});
            let review = json!({"metadata": {"namespace": "a"}, "spec": spec});
            texts(&local_subject_access_review(&serde_json::from_value(review).unwrap()))
        };
        assert_eq!(ask("a"), [""; 0]);
        assert_eq!(
            ask("b"),
            ["spec.resourceAttributes.namespace: Invalid value: \"b\": must match metadata.namespace"]
        );
    }
}
