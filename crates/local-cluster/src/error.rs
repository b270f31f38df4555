//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

/// Why the cluster cannot be started, stopped or looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine cannot run the cluster as it is. Each line says what to do about it.
    #[error("this machine is not ready:\n  {}", .0.join("\n  "))]
    Preflight(Vec<String>),
    /// A file cannot be read, written or removed.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the state directory is damaged.
    #[error("{}: not what this program wrote; remove it, or the whole directory with kctl down --purge", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A program failed.
    #[error("{command}: {what}")]
    Command {
        /// The command.
        command: String,
        /// Its exit and what it printed.
        what: String,
    },
    /// A certificate cannot be made.
    #[error("certificate {name}")]
    Certificate {
        /// Which.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
    /// Something did not become ready in time, or keeps failing.
    #[error("{what}{}", if log.is_empty() { String::new() } else { format!("\nthe end of its log:\n{log}") })]
    NotReady {
        /// What was waited for, and what it said.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// Another `up` or `down` works on this cluster.
    #[error("{}: another kctl works on this cluster", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// The running cluster is not what was asked for.
    #[error("{0}")]
    Mismatch(String),
    /// There is no cluster in the directory.
    #[error("no cluster in {}", .0.display())]
    NoCluster(PathBuf),
    /// Something of the cluster could not be removed.
    #[error("still there after everything was tried:\n  {}", .0.join("\n  "))]
    Leftovers(Vec<String>),
    /// The API server's answer cannot be had or used.
    #[error("API server: {0}")]
    Api(String),
    /// An image cannot be pushed into the cluster's registry.
    #[error("image")]
    Image(#[from] gantry_image_builder::Error),
}

impl Error {
    /// For `map_err` on I/O at `path`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
