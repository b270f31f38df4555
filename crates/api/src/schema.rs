//! The descriptors of the schema.

pub mod check;
pub mod comments;
mod go;
mod go_names;
mod go_time;
mod layout;
mod merge;
pub mod openapi;
pub(crate) mod shape;
mod values;

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub use go::cannot_unmarshal;
pub use go_names::{go_type, json_kind};
pub use go_time::not_a_time;
pub use merge::{Merge, MergeField, merge_field};
pub use values::values;

/// The compiled `proto/`, custom options included: what gRPC reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the build has decoded the same bytes")]
    DescriptorPool::decode(DESCRIPTORS).expect("the embedded descriptors decode")
});

/// The descriptors, decoded once.
#[must_use]
pub fn pool() -> &'static DescriptorPool {
    &POOL
}
