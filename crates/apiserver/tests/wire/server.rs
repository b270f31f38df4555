//! A server of a test's own.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use clap::Parser as _;
use gantry_apiserver::app::App;
use gantry_apiserver::options::Options;
use gantry_store::{MemoryStore, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::http::{Client, PATIENCE, tls};
use crate::pki::{Identity, Pki, file};

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// A server over the store in memory; derefs to a client that may do everything.
pub(crate) struct Server {
    admin: Client,
    pki: Pki,
    address: SocketAddr,
    _stop: DropGuard,
    dir: TempDir,
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.admin
    }
}

impl Server {
    /// Starts a server and waits until it is ready and has its own objects.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with more flags.
    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        Self::start_over(Arc::new(MemoryStore::new()), flags).await
    }

    /// Starts a server over a store that may hold something already.
    pub(crate) async fn start_over(store: Arc<dyn Store>, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::new(dir.path());
        let path = |name| file(dir.path(), name).display().to_string();
        let files = [
            format!("--tls-cert-file={}", path("server")),
            format!("--tls-private-key-file={}", path("server-key")),
            format!("--client-ca-file={}", path("ca")),
            format!("--kubelet-certificate-authority={}", path("ca")),
        ];
        let fixed = [
            "gantry-apiserver",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            // Endpoints may not be on the loopback.
            "--advertise-address=192.0.2.1",
        ];
        // Nobody makes accounts here but tests that are about them.
        let accounts: &[&str] =
            match flags.iter().any(|flag| flag.ends_with("able-admission-plugins=ServiceAccount")) {
                true => &[],
                false => &["--disable-admission-plugins=ServiceAccount"],
            };
        let arguments = fixed.iter().copied().chain(files.iter().map(String::as_str));
        let options =
            Options::parse_from(arguments.chain(flags.iter().copied()).chain(accounts.iter().copied()));
        let app = App::over(store, &options).unwrap();
        let address = app.addresses()[0];
        let stop = CancellationToken::new();
        let checks = app.checks();
        tokio::spawn(app.run(checks, stop.clone()));
        let admin = Client::new(&pki, address, Some(pki.client("admin", &["system:masters"])));
        let server = Self { admin, pki, address, _stop: stop.drop_guard(), dir };
        let ready = async {
            while server.get("/readyz").await.status != 200
                || server.get("/api/v1/namespaces/default/endpoints/kubernetes").await.status != 200
            {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the server is ready");
        server
    }

    /// A client with a certificate of this name and these groups.
    pub(crate) fn client(&self, name: &str, groups: &[&str]) -> Client {
        Client::new(&self.pki, self.address, Some(self.pki.client(name, groups)))
    }

    /// A client with a certificate of its own.
    pub(crate) fn client_with(&self, identity: Identity) -> Client {
        Client::new(&self.pki, self.address, Some(identity))
    }

    /// A connection of HTTP/1.1 as the admin, for what takes a connection over.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let identity = self.pki.client("admin", &["system:masters"]);
        let connector = TlsConnector::from(Arc::new(tls(&self.pki, Some(identity))));
        let stream = TcpStream::connect(self.address).await.unwrap();
        connector.connect(self.address.ip().into(), stream).await.unwrap()
    }

    /// One of the server's files.
    pub(crate) fn pem(&self, name: &str) -> Vec<u8> {
        std::fs::read(file(self.dir.path(), name)).unwrap()
    }

    /// A client without a certificate.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(&self.pki, self.address, None)
    }
}

pub(crate) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    })
}

pub(crate) fn deployment(name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    })
}
