//! The service proxy: nftables rules for Services and EndpointSlices.

fn main() {}
