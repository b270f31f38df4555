//! The scheduler: assigns pods to nodes.
//!
//! The decision is pure: [`schedule::schedule`] takes a pod and a [`snapshot::Snapshot`] and returns a node, or how
//! many nodes refuse the pod for which reason. [`schedule::explain`] gives the verdict of every node, which
//! `kctl why` shows. Around it, [`queue`] says which pod is next and [`service`] follows the API and carries decisions
//! out.

pub mod filters;
pub mod metrics;
pub mod options;
pub mod pod;
pub mod queue;
pub mod resources;
pub mod schedule;
pub mod scores;
pub mod service;
pub mod snapshot;
pub mod tracker;

#[cfg(test)]
mod testing;
