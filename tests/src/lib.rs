//! End-to-end suites on real clusters, and their harness.
//!
//! A test starts a [`TestCluster`] of its own, beside whatever else runs on the machine, works on it with `kctl` as a
//! user would, and ends it; when the test fails half way, the cluster is removed all the same and the ends of its logs
//! are printed. [`Load`] asks a Service at a steady rate and counts what fails.
//!
//! `GANTRY_BIN_DIR` says where the programs are and `GANTRY_IMAGES` where the example's images; `make e2e` sets both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is a test's report")]

mod cluster;
mod kubectl;
mod load;

pub use cluster::{Output, TestCluster, bin_dir, eventually};
pub use kubectl::{Kubectl, has};
pub use load::{Load, Outcome};
