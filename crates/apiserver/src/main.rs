//! The API server: gRPC and REST over one implementation of every verb.

fn main() {}
