//! Volumes and the files that every pod has.

pub mod atomic;
pub mod dns;
pub mod hosts;
pub mod payload;
pub mod references;
pub mod setup;
pub mod tokens;
