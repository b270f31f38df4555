//! Admission by policies: `ValidatingAdmissionPolicy`, `MutatingAdmissionPolicy` and their bindings.
//!
//! A policy is asked as often as bindings bind it, and each time for every parameter that the binding names. What it
//! looks at is JSON, which is made only once the rules of a policy match.

mod evaluate;
mod mutating;
mod params;
mod policy;
mod source;
mod validating;

pub(crate) use source::Policies;
