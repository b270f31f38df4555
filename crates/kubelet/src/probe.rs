//! Probes: asking a container how it is, over and over.

mod check;
mod grpc;
mod http;
mod tls;
pub mod worker;

pub use check::{Target, check};
pub use http::{Answer, HttpError, get as http_get};
