//! Tests of the runtime against real components.
#![expect(clippy::unwrap_used, reason = "a panic is the report")]

mod contract;
mod faults;
mod logs;
mod pulls;
mod specs;
mod support;
mod unruly;
