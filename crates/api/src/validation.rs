//! What makes an object valid, rule by rule, with upstream's messages.
//!
//! Each function gets a value and its path and adds every rule that it breaks to the list, so that a client sees
//! all mistakes at once. [`meta`] holds for all kinds; the rest is called by the kinds' strategies.

mod addresses;
pub(crate) mod admission;
pub(crate) mod api_service;
pub(crate) mod apps;
pub(crate) mod autoscaler;
pub(crate) mod batch;
pub mod certificates;
mod common;
mod conditions;
pub(crate) mod config;
mod cron;
pub(crate) mod csi;
pub(crate) mod definition;
pub(crate) mod device;
pub(crate) mod disruption;
pub(crate) mod endpoints;
pub(crate) mod event;
pub(crate) mod flow;
pub(crate) mod ingress;
pub(crate) mod ingress_class;
pub(crate) mod lease;
mod log;
pub mod managers;
pub mod meta;
pub mod names;
pub(crate) mod namespace;
pub(crate) mod network_policy;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod policy;
pub(crate) mod priority;
pub(crate) mod rbac;
pub(crate) mod reviews;
pub(crate) mod runtime_class;
pub(crate) mod selector;
pub(crate) mod service;
pub(crate) mod service_cidr;
pub(crate) mod storage;
pub(crate) mod storage_class;
pub(crate) mod volume_attachment;

pub use log::options as log_options;
pub use pod::{ephemeral_containers_update, pod_resize};
