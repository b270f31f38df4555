//! The controllers that drive the cluster towards its desired state.
//!
//! Each controller has two halves. The decision, `reconcile`, is a function from a snapshot to actions: no clock, no
//! network, no randomness. The rest takes the snapshot from the informers' stores and carries the actions out.
//!
//! What a controller writes is noted in the informer at once, so that its next decision sees its own writes; no
//! controller counts what it expects to see.

pub mod bootstrapsigner;
mod bootstraptoken;
pub mod clusterroleaggregation;
mod config;
mod context;
mod controllers;
pub mod deployment;
pub mod disruption;
mod each_namespace;
pub mod endpoints;
pub mod endpointslice;
pub mod garbagecollector;
mod manager;
pub mod namespace;
pub mod nodeipam;
pub mod nodelifecycle;

mod options;
mod owned;
pub mod pod;
pub mod podgc;
pub mod replicaset;
pub mod resourcequota;
pub mod rootca;
pub mod serviceaccount;
pub mod servicecidrs;
pub mod tokencleaner;
pub mod volumeprotection;

pub use context::{Context, Error};
pub use manager::{Manager, run};
pub use options::Options;
