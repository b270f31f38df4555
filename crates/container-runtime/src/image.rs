//! Images and where they come from.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tokio::sync::watch;

/// An image on the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageInfo {
    /// Digest of the image's configuration, `sha256:...`; two names of the same image share it.
    pub id: String,
    /// Digest of the manifest (or list of manifests) that the name stands for.
    pub digest: String,
    /// Names with tags, such as `docker.io/library/busybox:1.36`.
    pub repo_tags: Vec<String>,
    /// Names with digests, such as `docker.io/library/busybox@sha256:...`.
    pub repo_digests: Vec<String>,
    /// Compressed size of everything that belongs to it.
    pub size_bytes: u64,
    /// What containers of it start with.
    pub config: ImageConfig,
}

/// What an image says about its containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments.
    pub cmd: Vec<String>,
    /// Environment, `NAME=value`.
    pub env: Vec<String>,
    /// `user[:group]`, by name or number; empty for root.
    pub user: String,
    /// Absolute path; empty for `/`.
    pub working_dir: String,
    /// The signal that asks it to stop; empty for SIGTERM.
    pub stop_signal: String,
    /// Directories that are to survive on their own.
    pub volumes: Vec<String>,
    /// The image's labels.
    pub labels: BTreeMap<String, String>,
}

/// Who pulls.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum RegistryAuth {
    /// User name and password.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A refresh token, exchanged at the registry's token server.
    IdentityToken(String),
    /// A token that the registry itself accepts.
    RegistryToken(String),
}

impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { username, .. } => {
                f.debug_struct("Basic").field("username", username).finish_non_exhaustive()
            }
            Self::IdentityToken(_) => f.write_str("IdentityToken"),
            Self::RegistryToken(_) => f.write_str("RegistryToken"),
        }
    }
}

/// How far a pull has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes fetched or found to be there already.
    pub done_bytes: u64,
    /// Bytes in all, as far as known.
    pub total_bytes: u64,
    /// Layers unpacked.
    pub unpacked_layers: u32,
    /// Layers in all.
    pub layers: u32,
}

/// Told how far a pull has come; only the latest state is kept.
pub type ProgressSink = watch::Sender<PullProgress>;

/// How full the file system is that images and containers lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsUsage {
    /// When this was measured.
    pub time: SystemTime,
    /// Size of the file system.
    pub capacity_bytes: u64,
    /// Free for anyone.
    pub available_bytes: u64,
    /// In use.
    pub used_bytes: u64,
    /// Number of inodes.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
}
