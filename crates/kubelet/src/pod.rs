//! One pod: what is known of it, what to do about it, and the actor that does it.
//!
//! [`decide`](decide::decide) and [`status`](status::status) are functions of a
//! [`PodSnapshot`](snapshot::PodSnapshot); the actor gathers what the snapshot says and carries the actions out.

pub mod actor;
mod container_status;
pub mod decide;
pub mod outcome;
pub mod qos;
pub mod resize;
pub mod restart;
pub mod snapshot;
pub mod status;
