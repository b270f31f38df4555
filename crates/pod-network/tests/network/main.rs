//! The pod network on real kernels' namespaces: as root, on threads that have left the machine's own network
//! and mount namespaces, so nothing can leak out and nothing is left behind.

#![expect(clippy::unwrap_used, reason = "a panic in a helper is the test's report")]

mod cni;
mod connectivity;
mod host_ports;
mod sandboxes;
mod support;
