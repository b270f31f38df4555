//! A cluster for one test.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gantry_local_cluster::{Api, Binaries, Cluster, Down, Network, Ports, Spec, Up};
use gantry_telemetry::wait;
use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a cluster may take to come up on a busy machine.
const UP_LIMIT: Duration = Duration::from_secs(90);
/// How long one command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// A cluster of its own, removed when it is dropped.
#[derive(Debug)]
pub struct TestCluster {
    cluster: Cluster,
    bin: PathBuf,
    ended: bool,
    // Dropped last: the directory must outlive the cluster in it, the number's lock everything.
    _dir: TempDir,
    _number: Flock<File>,
}

/// What a command printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Output {
    /// What was printed, when the command succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }

    /// What was complained, when the command failed.
    #[track_caller]
    pub fn failure(self) -> String {
        assert_ne!(self.code, 0, "it succeeded: {}", self.stdout);
        self.stderr
    }
}

impl TestCluster {
    /// Starts a cluster and waits until its nodes are Ready.
    pub async fn start(nodes: u8) -> Self {
        Self::start_with(nodes, &[]).await
    }

    /// Starts a cluster whose components get more flags.
    pub async fn start_with(nodes: u8, flags: &[(&str, &str)]) -> Self {
        let (number, network) = free_number();
        let dir = tempfile::Builder::new().prefix("gantry-test-").tempdir().expect("a temporary directory");
        let spec = Spec {
            nodes,
            network,
            ports: Ports::free().expect("free ports"),
            forward_dns: false,
            flags: by_component(flags),
        };
        let cluster = Cluster::new(&dir.path().join("state"), spec).expect("a cluster");
        let test = Self { cluster, bin: bin_dir(), ended: false, _dir: dir, _number: number };
        test.up().await;
        test
    }

    /// Brings the cluster up, or up again.
    pub async fn up(&self) {
        let up = Up {
            binaries: Binaries::new(&self.bin),
            kctl: self.bin.join("kctl"),
            images: std::env::var_os("GANTRY_IMAGES").map(PathBuf::from),
            timeout: UP_LIMIT,
        };
        let result = self.cluster.up(&up, &mut |what, took| eprintln!("{what}: {took:?}")).await;
        if let Err(error) = result {
            panic!("{}", chain(&error));
        }
    }

    /// Ends the cluster; fails when anything of it is left.
    pub async fn down(&mut self, purge: bool) {
        let result = self.cluster.down(Down { purge }, &mut |what, took| eprintln!("{what}: {took:?}")).await;
        if let Err(error) = result {
            panic!("{}", chain(&error));
        }
        self.ended = purge;
    }

    /// Ends the cluster at the end of a test; fails when anything of it is left.
    pub async fn down_purged(mut self) {
        self.down(true).await;
    }

    /// What the cluster is and where its files are.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A client for GETs.
    pub fn api(&self) -> Api {
        self.cluster.api().expect("a client")
    }

    /// The reference of an image in the cluster's registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.cluster.spec().network.registry())
    }

    /// Runs `kctl` with the administrator's kubeconfig.
    pub async fn kctl(&self, args: &[&str]) -> Output {
        self.kctl_with_input(args, "").await
    }

    /// Runs `kctl` with `input` on its standard input.
    pub async fn kctl_with_input(&self, args: &[&str], input: &str) -> Output {
        self.run(&self.bin.join("kctl"), args, input).await
    }

    /// Runs any program that reads `KUBECONFIG`.
    pub async fn run(&self, program: &Path, args: &[&str], input: &str) -> Output {
        let mut child = Command::new(program)
            .args(args)
            .env("KUBECONFIG", self.cluster.paths().kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_owned();
        let written = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
        let output = wait::within(COMMAND_LIMIT, &format!("{program:?} {args:?}"), child.wait_with_output())
            .await
            .unwrap_or_else(|error| panic!("{error}"))
            .expect("its output");
        // A command that does not read its input closes it early, which is no failure.
        let _ = written.await;
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Applies manifests; images of the documented registry are taken from this cluster's.
    #[track_caller]
    pub fn apply<'a>(&'a self, manifests: &'a str) -> impl Future<Output = String> + 'a {
        let text = manifests.replace("10.243.0.1:5000/", &self.image(""));
        async move { self.kctl_with_input(&["apply", "-f", "-"], &text).await.success() }
    }

    /// Applies a file of the repository's `examples`.
    pub async fn apply_example(&self, name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        self.apply(&text).await
    }

    /// Runs a command in a pod.
    pub async fn exec(&self, pod: &str, command: &[&str]) -> Output {
        self.kctl(&[&["exec", pod, "--"], command].concat()).await
    }

    /// The JSON documents at an API path's `items`.
    pub async fn items(&self, path: &str) -> Vec<serde_json::Value> {
        let list = self.api().get_json(path).await.unwrap_or_else(|error| panic!("{error}"));
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Kills a process of the cluster (by the name of its log) with SIGKILL and returns its number.
    pub fn kill_9(&self, name: &str) -> i32 {
        let pid =
            self.cluster.pid(name).expect("its record").unwrap_or_else(|| panic!("{name} does not run"));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        pid
    }

    /// The ends of all logs, for the report of a failed test.
    fn print_logs(&self) {
        let dir = self.cluster.paths().log("x").parent().map(Path::to_owned).unwrap_or_default();
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let text = std::fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(15)..];
            eprintln!("--- {}\n{}", entry.path().display(), last.join("\n"));
        }
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        if self.ended {
            return;
        }
        let cluster = self.cluster.clone();
        // A runtime of its own, in a thread of its own: this runs inside another one, while it unwinds.
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok::<_, std::io::Error>(runtime.block_on(cluster.down(Down { purge: true }, &mut |_, _| {})))
        });
        match ended.join() {
            Ok(Ok(Ok(()))) => {}
            other => eprintln!("the cluster could not be removed: {other:?}"),
        }
    }
}

/// Asks until the answer is `Ok`, and fails with the last error after `limit`.
#[track_caller]
pub fn eventually<T, F, Fut>(limit: Duration, what: &str, attempt: F) -> impl Future<Output = T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let what = what.to_owned();
    async move { wait::until(limit, POLL, &what, attempt).await.unwrap_or_else(|error| panic!("{error}")) }
}

fn by_component(flags: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (component, flag) in flags {
        all.entry((*component).to_owned()).or_default().push((*flag).to_owned());
    }
    all
}

/// A number that no cluster of this machine has, and a lock that keeps other tests from taking it.
fn free_number() -> (Flock<File>, Network) {
    for number in 1..=99 {
        let network = Network { number };
        let path = std::env::temp_dir().join(format!("gantry-test-number-{number}.lock"));
        let file = File::create(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        if let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            && !Path::new("/sys/class/net").join(network.bridge()).exists()
        {
            return (lock, network);
        }
    }
    panic!("all numbers for test clusters are taken");
}

/// Where the programs are.
pub fn bin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("GANTRY_BIN_DIR") {
        return dir.into();
    }
    // target/PROFILE/deps/this-test
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors().nth(2).expect("a test is in target/PROFILE/deps").to_owned()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
