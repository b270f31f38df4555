//! The controllers that drive the cluster towards its desired state.

fn main() {}
