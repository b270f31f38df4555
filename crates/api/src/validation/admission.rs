//! Webhooks and policies of admission.
//!
//! Expressions in CEL are looked at as texts: that they are there, and not too long. Whether they compile, which types
//! they have and what they cost is not checked.

pub(crate) mod binding;
mod conditions;
pub(crate) mod policy;
mod rules;
mod url;
pub(crate) mod webhook;

pub(in crate::validation) use url::{service, url};
