//! What an object says when its author left it open, as upstream fills it in.
//!
//! Each function is idempotent and looks at nothing but the object.

pub(crate) mod admissionregistration;
pub(crate) mod apiextensions;
pub(crate) mod apps;
pub(crate) mod autoscaling;
pub(crate) mod batch;
pub(crate) mod core;
pub(crate) mod flowcontrol;
pub(crate) mod networking;
pub(crate) mod pod;
pub(crate) mod rbac;
pub(crate) mod resource;
pub(crate) mod service;
pub(crate) mod storage;
mod volume;

/// Sets a text that was left empty.
fn text(field: &mut String, default: &str) {
    if field.is_empty() {
        default.clone_into(field);
    }
}

/// Sets a number that was left at 0, for fields where 0 stands for "not given".
fn number(field: &mut i32, default: i32) {
    if *field == 0 {
        *field = default;
    }
}
