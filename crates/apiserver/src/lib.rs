//! The API server: gRPC and REST over one implementation of every verb.

pub mod cache;
pub mod status;
pub mod verbs;
