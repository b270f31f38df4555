//! The watch cache: every object of a resource in memory, and the recent changes.

mod entry;

pub use entry::{Attributes, Entry};
