//! Strategies of questions, which are answered and not stored.

use crate::authentication::v1::{SelfSubjectReview, TokenReview};
use crate::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use crate::field::ErrorList;
use crate::strategy::Strategy;
use crate::validation::reviews;

impl Strategy for SelfSubjectReview {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for TokenReview {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for SelfSubjectRulesReview {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for SelfSubjectAccessReview {
    fn validate(&self) -> ErrorList {
        reviews::self_subject_access_review(self)
    }
}

impl Strategy for SubjectAccessReview {
    fn validate(&self) -> ErrorList {
        reviews::subject_access_review(self)
    }
}

impl Strategy for LocalSubjectAccessReview {
    fn validate(&self) -> ErrorList {
        reviews::local_subject_access_review(self)
    }
}
