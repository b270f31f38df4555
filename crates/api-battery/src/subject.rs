//! The server that is asked: another's, or one of our own over an etcd of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use gantry_apiserver::app::App;
use gantry_apiserver::options::Options;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::case::User;
use crate::client::Client;
use crate::run::request;

/// How long a server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server that is asked. Dropping it ends what was started.
#[derive(Debug)]
pub struct Subject {
    client: Client,
    own: Option<Own>,
}

/// A server of our own.
#[derive(Debug)]
struct Own {
    _stop: DropGuard,
    _etcd: Etcd,
    _files: TempDir,
}

impl Subject {
    /// The server that the environment names, or one of our own.
    pub async fn find() -> anyhow::Result<Self> {
        let subject = match std::env::var("GANTRY_API_URL") {
            Ok(url) => {
                let file = |name: &str| -> anyhow::Result<Vec<u8>> {
                    let path = std::env::var(name).with_context(|| format!("{name} is not set"))?;
                    std::fs::read(&path).with_context(|| format!("{name} {path}"))
                };
                let client = Client::new(
                    &url,
                    &file("GANTRY_API_CA")?,
                    &file("GANTRY_API_CERT")?,
                    &file("GANTRY_API_KEY")?,
                )?;
                Self { client, own: None }
            }
            Err(_) => Self::start().await?,
        };
        let ready = async {
            let wanted = ["/readyz", "/api/v1/namespaces/default"];
            for path in wanted {
                while !subject.is_found(path).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.context("the server does not get ready")?;
        Ok(subject)
    }

    async fn is_found(&self, path: &str) -> bool {
        let answer = self.client.send(User::Admin, &request("GET", path, None)).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether it was started here, so that everything about it is known.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    async fn start() -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        let (certificate, key) = make_certificates(files.path())?;
        let etcd = Etcd::start()?;
        tokio::time::timeout(PATIENCE, etcd.forget()).await.context("the store does not answer")??;
        let path = |name: &str| files.path().join(name).display().to_string();
        let flags = [
            "gantry-apiserver".to_owned(),
            format!("--etcd-servers=http://127.0.0.1:{}", etcd.port),
            "--bind-address=127.0.0.1".to_owned(),
            "--secure-port=0".to_owned(),
            // Nobody makes accounts here.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            // Endpoints may not be on the loopback.
            "--advertise-address=192.0.2.1".to_owned(),
            format!("--tls-cert-file={}", path("server.pem")),
            format!("--tls-private-key-file={}", path("server-key.pem")),
            format!("--client-ca-file={}", path("ca.pem")),
            "--service-account-issuer=https://battery.example".to_owned(),
            format!("--service-account-signing-key-file={}", path("accounts-key.pem")),
            format!("--service-account-key-file={}", path("accounts-key.pem")),
        ];
        let app = App::build(&Options::try_parse_from(flags)?).await?;
        let address = *app.addresses().first().context("the server listens nowhere")?;
        let (checks, stop) = (app.checks(), CancellationToken::new());
        tokio::spawn(app.run(checks, stop.clone()));
        let authority = std::fs::read(files.path().join("ca.pem"))?;
        let client =
            Client::new(&format!("https://{address}"), &authority, certificate.as_bytes(), key.as_bytes())?;
        let own = Own { _stop: stop.drop_guard(), _etcd: etcd, _files: files };
        Ok(Self { client, own: Some(own) })
    }
}

/// A running etcd. Dropping it kills it and removes its data.
#[derive(Debug)]
struct Etcd {
    process: Child,
    port: u16,
    _data: TempDir,
}

impl Etcd {
    /// Makes the store forget its first versions, as every one has that is older than some minutes. Before there is a
    /// server, which would remember them.
    async fn forget(&self) -> anyhow::Result<()> {
        // It may be there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let url = |call: &str| format!("http://127.0.0.1:{}/v3/kv/{call}", self.port);
        // "battery" and nothing, in base64.
        let put = serde_json::json!({"key": "YmF0dGVyeQ==", "value": ""}).to_string();
        while store.post(url("put")).body(put.clone()).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = store.post(url("put")).body(put).send().await?.bytes().await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        let body = serde_json::json!({"revision": answer["header"]["revision"]}).to_string();
        let answer = store.post(url("compaction")).body(body).send().await?;
        ensure!(answer.status() == 200, "the store does not forget: {}", answer.text().await?);
        Ok(())
    }

    /// Starts it; the API server waits until it listens.
    fn start() -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        // Both are bound at once, so that they differ.
        let listeners = [TcpListener::bind(("127.0.0.1", 0))?, TcpListener::bind(("127.0.0.1", 0))?];
        let [client_port, peer_port] = [listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()];
        drop(listeners);
        ensure!(client_port != peer_port, "two listeners have one port");
        let (client, peer) =
            (format!("http://127.0.0.1:{client_port}"), format!("http://127.0.0.1:{peer_port}"));
        let process = Command::new("etcd")
            .args(["--name", "one", "--data-dir"])
            .arg(data.path().join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("one={peer}"), "--logger", "zap", "--log-level", "error"])
            // The disk of a test machine is not what is tested.
            .arg("--unsafe-no-fsync=true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("etcd does not start; `make test-deps` installs it")?;
        Ok(Self { process, port: client_port, _data: data })
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes `ca.pem`, `server.pem`, `server-key.pem` and `accounts-key.pem`; returns the administrator's certificate and key.
fn make_certificates(directory: &Path) -> anyhow::Result<(String, String)> {
    let mut params = named("gantry-battery-ca", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    std::fs::write(directory.join("ca.pem"), params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);

    let mut params = named("kube-apiserver", None);
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    let key = KeyPair::generate()?;
    std::fs::write(directory.join("server.pem"), params.signed_by(&key, &issuer)?.pem())?;
    std::fs::write(directory.join("server-key.pem"), key.serialize_pem())?;

    std::fs::write(directory.join("accounts-key.pem"), KeyPair::generate()?.serialize_pem())?;

    let mut params = named("battery", Some("system:masters"));
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

fn named(name: &str, group: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
