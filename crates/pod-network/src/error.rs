//! What can go wrong, with the pod, path or interface that it happened to.

use std::{io, net::Ipv4Addr, path::PathBuf};

use ipnet::Ipv4Net;

/// Why a sandbox or a pod's network could not be set up or taken down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An identifier that would not be one safe file name.
    #[error("id {0:?} must be 1 to 128 characters of a-z, A-Z, 0-9, '-', '_' and '.', not starting with '.'")]
    InvalidId(String),
    /// A kernel parameter that does not name a file below /proc/sys.
    #[error("sysctl {0:?} must be a name such as net.ipv4.ip_forward")]
    InvalidSysctl(String),
    /// A kernel parameter could not be written.
    #[error("cannot set sysctl {name} to {value:?}")]
    Sysctl {
        /// The parameter, as given.
        name: String,
        /// The value that was refused.
        value: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A file or mount operation failed.
    #[error("cannot {action} {}", path.display())]
    Path {
        /// What was tried, as a verb.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A system call on no particular file failed.
    #[error("cannot {action}")]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The kernel refused a change of links, addresses, routes or neighbours.
    #[error("cannot {action}")]
    Netlink {
        /// What was tried, with the names of the things it was tried on.
        action: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// Every address of the node's pod range is in use.
    #[error("no address left in {range}: {used} are in use")]
    AddressesExhausted {
        /// The node's pod range.
        range: Ipv4Net,
        /// How many are taken.
        used: usize,
    },
    /// A range too small for a gateway and a pod.
    #[error("pod range {0} is too small: it needs at least a gateway and one pod (/30 or larger)")]
    RangeTooSmall(Ipv4Net),
    /// nft refused a ruleset or could not be run.
    #[error("nft refused the rules: {0}")]
    Nft(String),
    /// Neither a direct route nor a tunnel is possible: the node's own address is on no interface.
    #[error("node address {0} is not configured on any interface of this node")]
    NodeAddressMissing(Ipv4Addr),
    /// A CNI plugin or its configuration failed.
    #[error(transparent)]
    Cni(#[from] crate::CniError),
    /// A helper thread panicked, which is a bug.
    #[error("a helper thread of the pod network panicked")]
    Panicked,
}

impl Error {
    pub(crate) fn path(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Path { action, path, source }
    }

    pub(crate) fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    pub(crate) fn netlink(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Netlink { action, source }
    }
}
