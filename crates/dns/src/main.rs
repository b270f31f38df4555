//! The cluster's DNS server.

fn main() {}
