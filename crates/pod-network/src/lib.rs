//! The built-in pod network: namespaces, veth pairs, bridge, addresses and routes.
//!
//! Two things live here, and the kubelet uses them one after the other for each pod:
//!
//! 1. [`Sandboxes`] makes a pod's network, IPC and UTS namespaces and pins them as bind mounts under a
//!    directory. No process keeps them alive, so a sandbox costs about a millisecond, survives any crash of
//!    the kubelet, and is found again by listing the directory.
//! 2. [`PodNetwork`] connects such a network namespace. [`BuiltinNetwork`] does so over netlink with one
//!    bridge per node and a veth pair per pod, hands out addresses from the node's pod range, and routes to
//!    the other nodes. Where the node has a CNI configuration, [`CniNetwork`] runs its plugins instead.
//!
//! ```no_run
//! # use gantry_pod_network::*;
//! # async fn example(config: Config) -> Result<(), Error> {
//! let sandboxes = Sandboxes::new("/run/gantry/sandboxes")?;
//! let network = BuiltinNetwork::start(config).await?;
//!
//! let pod = PodRef::new("4e2f…", "default", "web-0");
//! let spec = SandboxSpec { network: true, ipc: true, hostname: Some("web-0".into()), ..SandboxSpec::default() };
//! let sandbox = sandboxes.create(&pod.uid, &spec).await?;
//! if let Some(namespace) = sandbox.network() {
//!     let addresses = network.setup(&pod, &namespace).await?;
//!     println!("{:?}", addresses.primary());
//! }
//! # Ok(()) }
//! ```

mod builtin;
mod cni;
mod dial;
mod error;
mod host_ports;
mod ipam;
mod namespace;
mod netlink;
mod network;
mod nft;
mod sandbox;
mod sysctl;

pub use builtin::{BuiltinNetwork, Config};
pub use cni::{CniNetwork, Dirs as CniDirs, Error as CniError};
pub use dial::{DialError, dial};
pub use error::Error;
pub use host_ports::{HostPort, HostPorts, Protocol};
pub use ipnet::Ipv4Net;
pub use network::{NodeRoute, PodAddresses, PodNetwork, PodRef};
pub use sandbox::{Sandbox, SandboxSpec, Sandboxes};
