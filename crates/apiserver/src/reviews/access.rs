//! Whether somebody may do something.

use gantry_api::authorization::v1::{
    FieldSelectorAttributes, NonResourceAttributes, ResourceAttributes, SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
};
use gantry_api::selector::FieldSelector;

use crate::authorization::{Attributes, Authorizer, Decision};
use crate::pipeline::User;

/// Decides about somebody whom the question describes.
pub(super) fn of_subject(
    authorizer: &Authorizer,
    spec: &SubjectAccessReviewSpec,
) -> SubjectAccessReviewStatus {
    let extra = spec.extra.iter().map(|(key, value)| (key.clone(), value.items.clone()));
    let user = User {
        name: spec.user.clone(),
        groups: spec.groups.clone(),
        uid: spec.uid.clone(),
        extra: extra.collect(),
    };
    decide(authorizer, &user, spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref())
}

/// Decides about a request about a resource, or else for a path.
pub(super) fn decide(
    authorizer: &Authorizer,
    user: &User,
    resource: Option<&ResourceAttributes>,
    path: Option<&NonResourceAttributes>,
) -> SubjectAccessReviewStatus {
    let fields = resource.and_then(|resource| resource.field_selector.as_ref()).and_then(selector);
    let attributes = match (resource, path) {
        (Some(resource), _) => Attributes::Resource {
            verb: &resource.verb,
            group: &resource.group,
            resource: &resource.resource,
            subresource: &resource.subresource,
            namespace: &resource.namespace,
            name: &resource.name,
        },
        (None, path) => Attributes::Path {
            verb: path.map_or("", |path| &path.verb),
            path: path.map_or("", |path| &path.path),
        },
    };
    let Decision { allowed, reason } = authorizer.decide(user, &attributes, fields.as_ref(), true);
    SubjectAccessReviewStatus { allowed, reason, ..SubjectAccessReviewStatus::default() }
}

/// The selector of a question, where it is one of single values.
fn selector(fields: &FieldSelectorAttributes) -> Option<FieldSelector> {
    if !fields.raw_selector.is_empty() {
        return FieldSelector::parse(&fields.raw_selector).ok();
    }
    // More terms select less, so what is not understood may be left out.
    let known = fields.requirements.iter().find(|term| term.operator == "In" && term.values.len() == 1)?;
    Some(FieldSelector::field(&known.key, &known.values[0]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_is_text_or_requirements() {
        let of = |value| selector(&serde_json::from_value(value).unwrap());
        let node = |fields: Option<FieldSelector>| {
            fields.and_then(|it| it.exact("spec.nodeName").map(str::to_owned))
        };
        assert_eq!(node(of(json!({"rawSelector": "spec.nodeName=n1"}))).as_deref(), Some("n1"));
        let one = json!({"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]});
        assert_eq!(node(of(one)).as_deref(), Some("n1"));
        let two =
            json!({"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1", "n2"]}]});
        assert_eq!(node(of(two)), None);
        assert_eq!(node(of(json!({}))), None);
    }
}
