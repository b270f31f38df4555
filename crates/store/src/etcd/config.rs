//! How to reach the etcd cluster.

use std::time::Duration;

/// The settings of an [`EtcdStore`](crate::EtcdStore).
#[derive(Debug, Clone)]
pub struct EtcdConfig {
    /// The members' client URLs, `http://host:port` or `https://host:port`; at least one.
    pub endpoints: Vec<String>,
    /// For `https` endpoints: whom to trust and who we are.
    pub tls: Option<TlsConfig>,
    /// How long one call may take, all its attempts included.
    pub request_timeout: Duration,
    /// How long making a connection may take before the next endpoint is tried.
    pub connect_timeout: Duration,
    /// Connections to each endpoint. One carries several thousand writes a second; more of them keep a large
    /// answer from holding up the small ones.
    pub connections: usize,
    /// Whether watches get the value before each change. It costs etcd one read for each event and twice the
    /// bytes, and a cache has the value anyway; so it is off by default.
    pub previous_values: bool,
}

impl EtcdConfig {
    /// The defaults, for these endpoints.
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            tls: None,
            request_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            connections: 2,
            previous_values: false,
        }
    }
}

/// Certificates for the connections, all in PEM.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The authorities that signed etcd's certificates.
    pub ca: Vec<u8>,
    /// Our own certificate, where etcd wants one.
    pub identity: Option<ClientIdentity>,
    /// The name to expect in etcd's certificate, if it is not the endpoint's host.
    pub server_name: Option<String>,
}

/// A client certificate and its key, in PEM.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate chain.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for ClientIdentity {
    /// Leaves the key out: configurations get logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}
