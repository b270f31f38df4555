//! An API server, and the managers and nodes of one test.

use std::time::Duration;

use clap::Parser;
use gantry_api::Resource;
use gantry_api::core::v1::Namespace;
use gantry_api::meta::v1::ListOptions;
use gantry_apiserver::app::App;
use gantry_client::leader::Lost;
use gantry_client::{Client, Config};
use gantry_controller_manager::{Manager, Options};
use gantry_telemetry::health::Checks;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::pki::{Authority, Identity};

/// Long enough for a busy machine; nothing waits that long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    /// May do everything.
    pub(crate) admin: Client,
    authority: Authority,
    server: String,
    pub(crate) stop: CancellationToken,
    _stop: DropGuard,
    _files: TempDir,
}

/// A controller manager that runs.
pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    pub(crate) checks: Checks,
    pub(crate) task: JoinHandle<Result<(), Lost>>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let (authority, files) = (Authority::new(), TempDir::new().unwrap());
        let serving = authority.server();
        let file = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let ca = file("ca.crt", &authority.certificate());
        let certificate = file("server.crt", &serving.certificate);
        let key = file("server.key", &serving.key);
        let options = gantry_apiserver::options::Options::parse_from([
            "gantry-apiserver",
            "--storage=memory",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            // Pods are made before any controller runs.
            "--disable-admission-plugins=ServiceAccount",
            &format!("--tls-cert-file={certificate}"),
            &format!("--tls-private-key-file={key}"),
            &format!("--client-ca-file={ca}"),
        ]);
        let stop = CancellationToken::new();
        let app = App::build(&options).await.unwrap();
        let server = format!("https://{}", app.addresses()[0]);
        let checks = app.checks();
        tokio::spawn(app.run(checks, stop.clone()));
        let admin = client(&server, &authority, &authority.client("admin", "system:masters"));
        let cluster =
            Self { admin, authority, server, _stop: stop.clone().drop_guard(), stop, _files: files };
        let namespaces = cluster.admin.api::<Namespace>("");
        eventually("the API server is up", async || {
            let list = namespaces.list(&ListOptions::default()).await;
            list.is_ok_and(|list| list.items.iter().any(|namespace| namespace.name() == "kube-node-lease"))
        })
        .await;
        cluster
    }

    /// What verifies the API server.
    pub(crate) fn authority_pem(&self) -> String {
        self.authority.certificate()
    }

    /// Starts a controller manager with its own identity, and these flags.
    pub(crate) fn manager(&self, name: &str, flags: &[&str]) -> Running {
        let identity = self.authority.client("system:kube-controller-manager", "none");
        let flags = ["manager", "--kubeconfig=none"].iter().chain(flags);
        let manager =
            Manager::new(Options::parse_from(flags), client(&self.server, &self.authority, &identity))
                .identity(name)
                .root_ca(Some(self.authority.certificate()));
        let (checks, stop) = (manager.checks(), self.stop.child_token());
        Running { task: tokio::spawn(manager.run(stop.clone())), stop, checks }
    }
}

fn client(server: &str, authority: &Authority, identity: &Identity) -> Client {
    let config = Config {
        certificate_authority: Some(authority.certificate().into_bytes()),
        client_certificate: Some(identity.certificate.clone().into_bytes()),
        client_key: Some(identity.key.clone().into_bytes()),
        ..Config::plain(server.parse().unwrap())
    };
    Client::new(config).unwrap()
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain: {what}");
}
