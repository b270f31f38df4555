//! The scheduler: assigns pods to nodes.
