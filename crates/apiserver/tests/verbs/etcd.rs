//! An etcd of our own: random ports, a temporary directory, ended by its process id.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::server::PATIENCE;

/// A running etcd. Dropping it kills it and removes its data.
pub(crate) struct Etcd {
    process: Child,
    client_port: u16,
    _data: TempDir,
}

impl Etcd {
    pub(crate) async fn start() -> Self {
        let data = TempDir::new().unwrap();
        // Both are bound at once, so that they differ.
        let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let [client_port, peer_port] = listeners.map(|listener| listener.local_addr().unwrap().port());
        let (client, peer) =
            (format!("http://127.0.0.1:{client_port}"), format!("http://127.0.0.1:{peer_port}"));
        let mut process = Command::new("etcd")
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
            .expect("etcd must be installed");
        let listening = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", client_port)).await.is_err() {
                assert!(process.try_wait().unwrap().is_none(), "etcd ended at once");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.expect("etcd listens");
        Self { process, client_port, _data: data }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client_port)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
