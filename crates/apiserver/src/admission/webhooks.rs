//! Admission by webhooks: `MutatingWebhookConfiguration` and `ValidatingWebhookConfiguration`.
//!
//! What is asked is found out in steps that cost more and more: whether there are webhooks at all, whether their rules
//! match, and only then what their selectors and conditions say of the objects, which are made JSON for that.

mod call;
mod hook;
mod mutating;
mod relevant;
mod review;
mod source;
mod validating;

pub(crate) use mutating::{Round, completed};
pub(crate) use source::Hooks;
