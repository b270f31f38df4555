//! The service proxy: nftables rules for Services and EndpointSlices.
//!
//! Everything is decided by pure functions, in three steps: [`convert::snapshot`] reads API objects,
//! [`plan::desired`] computes the rules that they ask for, and [`change::diff`] finds what differs from the
//! rules applied last. [`Proxier`] then sends that difference to the kernel in one transaction. When the
//! proxy ends, is killed or loses the API server, the rules stay as they are.

pub mod change;
pub mod config;
pub mod convert;
pub mod flows;
mod metrics;
pub mod model;
pub mod nft;
pub mod plan;
mod proxier;
pub mod ruleset;
pub mod script;
mod service;

pub use metrics::Metrics;
pub use proxier::{Error, Outcome, Proxier};
pub use service::{Options, Service};
