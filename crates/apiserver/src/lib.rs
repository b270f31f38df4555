//! The API server: gRPC and REST over one implementation of every verb.

mod admission;
pub mod bootstrap;
pub mod cache;
pub mod patch;
pub mod status;
pub mod verbs;
