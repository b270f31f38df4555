//! An etcd of our own: random ports, a temporary directory, ended by its process id.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// A running etcd. Dropping it kills it and removes its data.
pub(crate) struct Etcd {
    data: TempDir,
    client_port: u16,
    peer_port: u16,
    tls: Option<TlsFiles>,
    process: Option<Child>,
}

/// The certificates that etcd serves with and asks its clients for.
pub(crate) struct TlsFiles {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Etcd {
    pub(crate) async fn start() -> Self {
        Self::start_with(TempDir::new().unwrap(), None).await
    }

    pub(crate) async fn start_with(data: TempDir, tls: Option<TlsFiles>) -> Self {
        let [client_port, peer_port] = free_ports();
        let mut etcd = Self { data, client_port, peer_port, tls, process: None };
        etcd.launch().await;
        etcd
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.client_port)
    }

    /// Starts it on the same data and ports, and waits until it listens.
    pub(crate) async fn launch(&mut self) {
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let mut command = Command::new("etcd");
        command
            .args(["--name", "one", "--data-dir"])
            .arg(self.data.path().join("data"))
            .args(["--listen-client-urls", &self.url(), "--advertise-client-urls", &self.url()])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("one={peer}"), "--logger", "zap", "--log-level", "error"])
            // The disk of a test machine is not what is tested.
            .arg("--unsafe-no-fsync=true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(tls) = &self.tls {
            command.arg("--client-cert-auth");
            command.arg("--trusted-ca-file").arg(&tls.ca);
            command.arg("--cert-file").arg(&tls.certificate).arg("--key-file").arg(&tls.key);
        }
        let mut process = command.spawn().expect("etcd must be installed");
        let address = ("127.0.0.1", self.client_port);
        let listening = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                assert!(process.try_wait().unwrap().is_none(), "etcd ended at once");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), listening).await.expect("etcd does not listen");
        self.process = Some(process);
    }

    /// Starts the killed etcd on another port, out of its clients' sight. Returns the port they know.
    pub(crate) async fn move_aside(&mut self) -> u16 {
        let known = self.client_port;
        [self.client_port, _] = free_ports();
        self.launch().await;
        known
    }

    /// Restarts it on the port that its clients know.
    pub(crate) async fn move_back(&mut self, known: u16) {
        self.kill();
        self.client_port = known;
        self.launch().await;
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        let process = self.process.as_ref().expect("etcd is not running");
        Pid::from_raw(process.id().try_into().unwrap())
    }

    /// Kills it the hard way.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops the process, and returns once every thread of it stands still: until then one may still answer.
    pub(crate) async fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !self.stands_still() {
            assert!(std::time::Instant::now() < deadline, "etcd does not stop");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        threads.flatten().all(|thread| {
            let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("State:\tT"))
        })
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports that are free now, and that the kernel gives to nobody: an etcd that is restarted needs its port again.
/// Below the ephemeral ports, also since a client that connects again and again to one of those, while nobody
/// listens, ends up connected to itself.
fn free_ports() -> [u16; 2] {
    let free = |_| {
        let candidates = (0..1000).map(|_| rand::random_range(12_000..32_000));
        let mut bound = candidates.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        bound.next().expect("no port is free")
    };
    // Both listeners are open at once, so the two differ.
    [(), ()].map(free).map(|listener| listener.local_addr().unwrap().port())
}
