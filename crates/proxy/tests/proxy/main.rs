//! The proxy with real nftables, in network namespaces that nothing can leave: clients in pods, on the node
//! and outside of it, and endpoints in pods of the real pod network.
#![expect(clippy::unwrap_used, reason = "a panic in a helper is the test's report")]

mod bed;
mod flows;
mod load;
mod scale;
mod services;
#[path = "../../../pod-network/tests/network/support.rs"]
#[allow(dead_code, reason = "shared with the pod network's tests, which use more of it")]
mod support;
