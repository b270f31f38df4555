//! The controllers that drive the cluster towards its desired state.
