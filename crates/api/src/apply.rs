//! Server-side apply: who owns which fields of an object, as Kubernetes computes it.
//!
//! Everything here is a pure function. [`record`] says who owns what after any write; [`apply`] makes the next object of
//! the present one and a configuration. Both look at values through one walk: encoded messages for the former, which
//! happens at every write and decodes only what differs, and JSON for the latter.

mod configuration;
mod element;
mod fields_v1;
mod ignored;
mod last_applied;
mod merge;
mod mutation;
mod owners;
mod scale;
mod set;
mod steps;
#[cfg(test)]
mod tests;
mod tree;
mod update;
mod validate;
mod walk;
pub(crate) mod wire;

pub use configuration::{Applied, Conflict, Refusal, apply};
pub use element::{Element, Name, Path, Scalar};
pub use mutation::mutate;
pub use owners::{Operation, Owner, check_owners};
pub use scale::{apply_scale, record_scale};
pub use set::Set;
pub use update::{Writer, record, same_but_times};
