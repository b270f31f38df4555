//! Where the API server is, and who the client is.

use std::path::Path;
use std::time::Duration;

use http::Uri;

mod kubeconfig;

pub use kubeconfig::{Error, Kubeconfig, NamedCluster, NamedContext, NamedUser};

/// How long a call may take unless told otherwise.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Where the API server is, and who the client is.
#[derive(Clone)]
pub struct Config {
    /// Its addresses; calls are balanced over them.
    pub servers: Vec<Uri>,
    /// The certificates of the authority that signed the server's, as PEM.
    pub certificate_authority: Option<Vec<u8>>,
    /// The client's certificate, as PEM.
    pub client_certificate: Option<Vec<u8>>,
    /// The client's key, as PEM.
    pub client_key: Option<Vec<u8>>,
    /// A bearer token.
    pub token: Option<String>,
    /// The name that the server's certificate must have, where it is not the address.
    pub server_name: Option<String>,
    /// The context's namespace, `default` where it names none.
    pub namespace: String,
    /// How the client calls itself.
    pub user_agent: String,
    /// How long a call may take, attempts to connect included. A watch's start too; not the watch.
    pub deadline: Duration,
    /// How long calls are repeated while the API server cannot be reached. At most the deadline.
    pub patience: Duration,
}

impl Config {
    /// The client's identity and the API server of a kubeconfig's current context.
    pub fn from_kubeconfig(path: &Path) -> Result<Self, Error> {
        Kubeconfig::read(path)?.config(None)
    }

    /// A configuration without credentials, for servers that need none (tests).
    #[must_use]
    pub fn plain(server: Uri) -> Self {
        Self {
            servers: vec![server],
            certificate_authority: None,
            client_certificate: None,
            client_key: None,
            token: None,
            server_name: None,
            namespace: "default".to_owned(),
            user_agent: concat!("gantry/", env!("CARGO_PKG_VERSION")).to_owned(),
            deadline: DEADLINE,
            patience: DEADLINE,
        }
    }

    /// Sets how the client calls itself.
    #[must_use]
    pub fn user_agent(mut self, name: &str) -> Self {
        self.user_agent = format!("{name}/{}", env!("CARGO_PKG_VERSION"));
        self
    }

    /// Sets how long calls are repeated while the API server cannot be reached; zero fails at once.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long a call may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl std::fmt::Debug for Config {
    // Keys and tokens must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("namespace", &self.namespace)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}
