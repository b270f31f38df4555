//! Questions that are created to be answered, and not stored: who somebody is, and what they may.

mod access;
mod rules;
mod token;

use gantry_api::authentication::v1::{SelfSubjectReview, SelfSubjectReviewStatus, TokenReview, UserInfo};
use gantry_api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use gantry_api::scalars::{ExtraValue, Time};
use gantry_api::{Kind, Object};

use crate::authorization::Requester;
use crate::cache::{Attributes, Entry};
use crate::pipeline::User;
use crate::status::ApiError;

/// Answers a question that who asks puts in `namespace`, which is empty for those about the cluster.
pub(crate) async fn answer(
    requester: &Requester,
    namespace: &str,
    mut question: Box<dyn Object>,
) -> Result<Entry, ApiError> {
    let kind = question.kind();
    place(kind, namespace, &mut *question)?;
    question.strategy_mut().prepare_for_create();
    let errors = question.strategy().validate();
    if !errors.is_empty() {
        return Err(ApiError::invalid_review(kind, &errors));
    }
    let authorizer = requester.authorizer();
    if let Some(review) = question.downcast_mut::<SelfSubjectAccessReview>() {
        let spec = review.spec.get_or_insert_default();
        let (resource, path) = (spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
        review.status = Some(access::decide(authorizer, requester.user(), resource, path));
    } else if let Some(review) = question.downcast_mut::<SubjectAccessReview>() {
        review.status = Some(access::of_subject(authorizer, review.spec.get_or_insert_default()));
    } else if let Some(review) = question.downcast_mut::<LocalSubjectAccessReview>() {
        review.status = Some(access::of_subject(authorizer, review.spec.get_or_insert_default()));
    } else if let Some(review) = question.downcast_mut::<SelfSubjectRulesReview>() {
        let namespace = review.spec.as_ref().map_or("", |spec| &spec.namespace);
        if namespace.is_empty() {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let (rules, missing) = authorizer.rules_for(requester.user(), namespace);
        review.status = Some(rules::status(requester.user(), &rules, &missing));
    } else if let Some(review) = question.downcast_mut::<SelfSubjectReview>() {
        review.metadata.get_or_insert_default().creation_timestamp = Some(Time::now());
        review.status = Some(SelfSubjectReviewStatus { user_info: Some(info(requester.user())) });
    }
    if let Some(review) = question.downcast_mut::<TokenReview>() {
        let spec = review.spec.get_or_insert_default();
        review.status = Some(token::status(requester.authenticator(), spec).await?);
    }
    let raw = question.encode();
    Ok(Entry::new(kind, namespace.into(), 0, &raw, Attributes::default()))
}

/// A question in a namespace says no other one.
fn place(kind: &Kind, namespace: &str, question: &mut dyn Object) -> Result<(), ApiError> {
    let meta = question.meta_mut();
    // Clients that write protobuf write a time that is none.
    meta.creation_timestamp.take_if(|time| *time == Time::default());
    if kind.namespaced() && meta.namespace.is_empty() {
        namespace.clone_into(&mut meta.namespace);
    }
    if meta.namespace != namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// A user as clients see it.
fn info(user: &User) -> UserInfo {
    let extra = |(key, values): (&String, &Vec<String>)| (key.clone(), ExtraValue { items: values.clone() });
    UserInfo {
        username: user.name.clone(),
        uid: user.uid.clone(),
        groups: user.groups.clone(),
        extra: user.extra.iter().map(extra).collect(),
    }
}
