//! A node for tests: its own containerd and its own registry, in a directory of their own, and nothing left of them
//! afterwards.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_container_runtime::{Containerd, ContainerdOptions, Runtime};
use gantry_image_builder::{Entry, Image, Registry};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No step of a test may take longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

pub(crate) struct Node {
    pub(crate) options: ContainerdOptions,
    pub(crate) registry: SocketAddr,
    /// The name of the image with busybox at the registry.
    pub(crate) image: String,
    /// Where containers' cgroups go.
    pub(crate) cgroup: String,
    pub(crate) directory: tempfile::TempDir,
    containerd: Option<Child>,
    registry_process: Child,
}

impl Node {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("gantry-rt-").tempdir().unwrap();
        let path = directory.path();
        let name = path.file_name().unwrap().to_string_lossy().replace('.', "").to_lowercase();
        for subdirectory in ["data", "state", "registry", "pipes"] {
            fs::create_dir_all(path.join(subdirectory)).unwrap();
        }
        let options = ContainerdOptions {
            socket: path.join("containerd.sock"),
            namespace: name.clone(),
            runtime_root: Some(path.join("runc")),
            log_driver: log_driver(),
            state_dir: path.join("pipes"),
            data_dir: path.join("data"),
            ..ContainerdOptions::default()
        };
        let (registry_process, registry) = start_registry(path);
        let mut node = Self {
            image: format!("{registry}/test/busybox:1"),
            cgroup: format!("/{name}"),
            options,
            registry,
            directory,
            containerd: None,
            registry_process,
        };
        node.start_containerd();
        let client = Registry::new(registry);
        until("the registry answers", || async { client.ping().await.is_ok() }).await;
        client.push("test/busybox:1", &busybox().build().unwrap()).await.unwrap();
        node
    }

    pub(crate) fn runtime(&self) -> Arc<Containerd> {
        Arc::new(Containerd::new(self.options.clone()).unwrap())
    }

    /// A runtime on a node that has the image.
    pub(crate) async fn ready(&self) -> Arc<Containerd> {
        let runtime = self.runtime();
        until("containerd answers", || async { runtime.version().await.is_ok() }).await;
        runtime.pull_image(&self.image, None, None).await.unwrap();
        runtime
    }

    pub(crate) fn start_containerd(&mut self) {
        let path = self.directory.path();
        let config = path.join("config.toml");
        let text = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [{}]\n[grpc]\naddress = {:?}\n",
            path.join("data"),
            path.join("state"),
            ["cri", "aufs", "btrfs", "devmapper", "zfs"]
                .map(|p| match p {
                    "cri" => "\"io.containerd.grpc.v1.cri\"".to_owned(),
                    other => format!("\"io.containerd.snapshotter.v1.{other}\""),
                })
                .join(", "),
            self.options.socket
        );
        fs::write(&config, text).unwrap();
        let log = fs::OpenOptions::new().create(true).append(true).open(path.join("containerd.log")).unwrap();
        let mut command = Command::new("containerd");
        command.arg("--config").arg(config).stdout(Stdio::null()).stderr(log);
        self.containerd = Some(command.spawn().unwrap());
    }

    /// Ends containerd at once.
    pub(crate) fn kill_containerd(&mut self) {
        if let Some(mut containerd) = self.containerd.take() {
            containerd.kill().unwrap();
            containerd.wait().unwrap();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill_containerd();
        drop(self.registry_process.kill());
        drop(self.registry_process.wait());
        // Whatever still runs has our directory in its arguments (shims, log drivers) or our cgroup (containers).
        let marks = [self.directory.path().display().to_string(), format!("{}/", self.cgroup)];
        for _ in 0..100 {
            let ours = processes(&marks);
            if ours.is_empty() {
                break;
            }
            for pid in ours {
                let _ = kill(pid, Signal::SIGKILL);
            }
            blocking_sleep(Duration::from_millis(20));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let below: Vec<&str> =
            below.filter(|path| Path::new(path).starts_with(self.directory.path())).collect();
        for path in below.into_iter().rev() {
            let _ = umount2(path, MntFlags::MNT_DETACH);
        }
        for controller in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let cgroup = controller.path().join(self.cgroup.trim_start_matches('/'));
            for child in fs::read_dir(&cgroup).into_iter().flatten().flatten() {
                drop(fs::remove_dir(child.path()));
            }
            drop(fs::remove_dir(cgroup));
        }
    }
}

/// Processes whose command line or cgroup has one of the marks.
pub(crate) fn processes(marks: &[String]) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    let marked = |pid: &i32| {
        let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (command, cgroup) = (file("cmdline"), file("cgroup"));
        let texts = [String::from_utf8_lossy(&command), String::from_utf8_lossy(&cgroup)];
        marks.iter().any(|mark| texts.iter().any(|text| text.contains(mark.as_str())))
    };
    pids.filter(marked)
        .filter(|pid| *pid != i32::try_from(std::process::id()).unwrap())
        .map(Pid::from_raw)
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a destructor cannot await")]
fn blocking_sleep(duration: Duration) {
    std::thread::sleep(duration);
}

pub(crate) fn busybox() -> Image {
    let mut entries = vec![
        Entry::directory("/bin", 0o755),
        Entry::directory("/etc", 0o755),
        Entry::directory("/tmp", 0o1777),
        Entry::executable("/bin/busybox", fs::read("/bin/busybox").expect("busybox-static is installed")),
        Entry::file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/tmp:/bin/sh\n"),
        Entry::file("/etc/group", "root:x:0:\nweb:x:102:\nlog:x:103:web\n"),
    ];
    for program in
        ["sh", "sleep", "cat", "id", "echo", "env", "head", "tail", "seq", "kill", "stty", "hostname", "true"]
    {
        entries.push(Entry::link(format!("/bin/{program}"), "busybox"));
    }
    Image { entries, command: vec!["/bin/sleep".into(), "1000".into()], ..Image::default() }
}

fn start_registry(path: &Path) -> (Child, SocketAddr) {
    // The port is free at this moment; nobody else binds to random ones by number.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = path.join("registry.yml");
    let root = path.join("registry");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root:?}}}}}\nhttp: {{addr: \"{address}\"}}\n"
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    (command.spawn().expect("docker-registry is installed"), address)
}

/// The log driver, built beside the tests.
fn log_driver() -> PathBuf {
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let status =
            Command::new(cargo).args(["build", "--quiet", "-p", "gantry-log-driver"]).status().unwrap();
        assert!(status.success(), "the log driver could not be built");
    });
    let tests = std::env::current_exe().unwrap();
    let target = tests.ancestors().find(|dir| dir.join("gantry-log-driver").exists());
    target.expect("the log driver lies beside the tests").join("gantry-log-driver")
}

/// Waits until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
