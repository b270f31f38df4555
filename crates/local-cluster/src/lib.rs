//! A whole cluster on one machine: network namespaces as nodes, supervised processes, one state directory.
