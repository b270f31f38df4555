//! All controllers against a real API server over the store in memory, with nodes that are pretended.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod collection;
mod custom;
mod disruption;
mod failover;
mod joining;
mod nodes;
mod pki;
mod pretence;
mod rig;
mod services;
mod workloads;
