//! Filters: the nodes that a pod cannot run on, each with its reason. Pure functions of a pod and a node.

mod affinity;
mod ports;
mod resources;
mod taints;

pub(crate) use affinity::matches_term;
pub(crate) use taints::{is_tolerated, tolerations};

use crate::pod::Pod;
use crate::resources::PodRequests;
use crate::snapshot::NodeInfo;

/// Why a node cannot take a pod. Several reasons may hold at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The reason as conditions count it, the same text for every node that it holds for.
    pub reason: String,
    /// The numbers of this node, for explanations.
    pub detail: String,
}

impl Rejection {
    fn new(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason: reason.into(), detail: detail.into() }
    }
}

/// A pod with what the filters read of it again and again.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// What it requires.
    pub requests: PodRequests,
}

impl<'a> Candidate<'a> {
    /// Prepares a pod.
    #[must_use]
    pub fn new(pod: &'a Pod) -> Self {
        Self { pod, requests: PodRequests::of(pod) }
    }
}

/// Runs the filters in upstream's order. The first that rejects a node ends its examination, as upstream's does, so
/// that a node counts once in the summary (the resource filter may give several reasons).
#[must_use]
pub fn examine(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<Rejection> {
    let filters: [fn(&Candidate<'_>, &NodeInfo) -> Vec<Rejection>; 6] = [
        taints::unschedulable,
        affinity::node_name,
        taints::taints,
        affinity::node_selector,
        ports::host_ports,
        resources::fit,
    ];
    filters
        .iter()
        .map(|filter| filter(candidate, node))
        .find(|rejections| !rejections.is_empty())
        .unwrap_or_default()
}
