//! The node's own object: registration, status, heartbeat, and what the network needs to know of other nodes.

mod agent;
mod lease;
pub mod machine;
mod network;
pub mod object;

pub use agent::{Agent, Health};
pub use lease::heartbeat;
pub use network::{NetworkSettings, maintain};
