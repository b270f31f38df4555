//! The node agent: runs the pods that are bound to its node.
//!
//! - [`pod`]: one pod, as a pure state machine and the actor that carries it out;
//! - [`container`]: from a pod's specification to what the runtime is told;
//! - [`allocations`]: what pods have been given of the node;
//! - [`volumes`], [`probe`], [`cgroups`], [`sandbox`]: what pods need besides;
//! - [`starts`]: how much is started at the same time;
//! - [`pods`]: all pods of the node, and what to do with those that are gone;
//! - [`node`]: the node's own object and its heartbeat;
//! - [`server`]: logs and exec for the API server;
//! - [`kubelet`]: all of it put together.

pub mod allocations;
pub mod cgroups;
pub mod cluster;
pub mod config;
pub mod container;
pub mod credentials;
pub mod host;
pub mod identity;
pub mod kubelet;
pub mod metrics;
pub mod node;
pub mod options;
pub mod paths;
pub mod pod;
pub mod pods;
pub mod probe;
pub mod sandbox;
pub mod server;
pub mod starts;
pub mod volumes;
