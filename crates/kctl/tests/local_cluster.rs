//! A local cluster's life with real etcd, containerd, registry and namespaces; Gantry's own programs are stand-ins
//! that do nothing, so that this tells about the engine alone. Needs root, as the engine does.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use gantry_local_cluster::{Binaries, Cluster, Down, Identity, Network, Ports, Spec, Up};
use gantry_telemetry::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

fn quiet() -> impl FnMut(&str, Duration) + Send {
    |_: &str, _| {}
}

/// A number that no cluster on this machine has.
fn free_number() -> u8 {
    let taken = |number: u8| Path::new("/sys/class/net").join(Network { number }.bridge()).exists();
    let first = u8::try_from(std::process::id() % 100).unwrap() + 100;
    (first..=250).find(|number| !taken(*number)).expect("some number is free")
}

fn stand_ins(dir: &Path) -> Up {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    for name in ["apiserver", "scheduler", "controller-manager", "kubelet", "proxy", "dns", "log-driver"] {
        let path = bin.join(format!("gantry-{name}"));
        fs::write(&path, "#!/bin/sh\nexec sleep 1000000\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    Up { binaries: Binaries::new(bin), kctl: env!("CARGO_BIN_EXE_kctl").into(), images: None, timeout: LIMIT }
}

async fn pid(cluster: &Cluster, name: &str) -> i32 {
    wait::until(LIMIT, POLL, name, || async {
        cluster.pid(name).map_err(|error| error.to_string())?.ok_or_else(|| "does not run".to_owned())
    })
    .await
    .unwrap()
}

/// Waits until `name` runs as another process than `old`.
async fn successor(cluster: &Cluster, name: &str, old: i32) -> i32 {
    wait::until(LIMIT, POLL, name, || async {
        let now = cluster.pid(name).map_err(|error| error.to_string())?;
        now.filter(|pid| *pid != old).ok_or_else(|| format!("still {now:?}"))
    })
    .await
    .unwrap()
}

fn kill_9(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

async fn etcd(cluster: &Cluster, args: &[&str]) -> String {
    wait::until(LIMIT, POLL, "etcd", || async {
        let output = tokio::process::Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints=http://127.0.0.1:{}", cluster.spec().ports.etcd))
            .args(args)
            .output()
            .await
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() { Ok(text) } else { Err(format!("{output:?}")) }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_cluster_lives_heals_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let spec = Spec {
        nodes: 2,
        network: Network { number: free_number() },
        ports: Ports::free().unwrap(),
        forward_dns: false,
        ..Spec::default()
    };
    let cluster = Cluster::new(&state, spec).unwrap();
    let _guard = Guard(cluster.clone());
    let up = stand_ins(dir.path());

    cluster.start(&up, &mut quiet()).await.unwrap();
    etcd(&cluster, &["put", "key", "kept"]).await;
    pid(&cluster, "registry").await;
    pid(&cluster, "apiserver").await;

    // What is killed comes back, and only that.
    let (old, other) = (pid(&cluster, "containerd-node-1").await, pid(&cluster, "etcd").await);
    kill_9(old);
    let new = successor(&cluster, "containerd-node-1", old).await;
    assert_eq!(pid(&cluster, "etcd").await, other);

    // Without its supervisor the cluster runs on; the next `up` takes it over as it is.
    kill_9(pid(&cluster, "supervisor").await);
    wait::until(LIMIT, POLL, "the supervisor's end", || async {
        if cluster.is_running().unwrap() { Err("runs") } else { Ok(()) }
    })
    .await
    .unwrap();
    assert!(Identity::of(other).is_some());
    cluster.start(&up, &mut quiet()).await.unwrap();
    pid(&cluster, "supervisor").await;
    assert_eq!(pid(&cluster, "etcd").await, other);
    assert_eq!(pid(&cluster, "containerd-node-1").await, new);
    kill_9(other);
    successor(&cluster, "etcd", other).await;

    // The end, after the supervisor has died: data stays, everything else goes.
    kill_9(pid(&cluster, "supervisor").await);
    let cluster = Cluster::load(&state).unwrap().expect("the description stays");
    cluster.down(Down::default(), &mut quiet()).await.unwrap();
    assert!(!cluster.is_running().unwrap());
    assert!(!Path::new("/sys/class/net").join(cluster.spec().network.bridge()).exists());
    cluster.down(Down::default(), &mut quiet()).await.unwrap();

    // The next `up` finds the data, also where a node was left half made.
    let node = cluster.spec().nodes().next().unwrap();
    fs::create_dir_all(cluster.paths().mount_namespace(&node).parent().unwrap()).unwrap();
    fs::write(cluster.paths().mount_namespace(&node), "").unwrap();
    cluster.start(&up, &mut quiet()).await.unwrap();
    assert_eq!(etcd(&cluster, &["get", "key", "--print-value-only"]).await.trim(), "kept");
    cluster.down(Down { purge: true }, &mut quiet()).await.unwrap();
    assert!(!state.exists());
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let spec = Spec {
        nodes: 1,
        network: Network { number: free_number() },
        ports: Ports::free().unwrap(),
        forward_dns: false,
        ..Spec::default()
    };
    let taken = std::net::TcpListener::bind(("127.0.0.1", spec.ports.api)).unwrap();
    let up = Up { binaries: Binaries::new(dir.path()), ..stand_ins(dir.path()) };
    let cluster = Cluster::new(&state, spec).unwrap();
    let error = cluster.start(&up, &mut quiet()).await.unwrap_err().to_string();
    assert!(error.contains("gantry-apiserver is neither beside kctl nor in PATH"), "{error}");
    assert!(error.contains(&format!("port {} on 127.0.0.1", taken.local_addr().unwrap().port())), "{error}");
    assert!(!Path::new("/sys/class/net").join(cluster.spec().network.bridge()).exists());
    assert!(Cluster::load(&state).unwrap().is_none());
}

/// Removes the cluster when a test fails half way.
struct Guard(Cluster);

impl Drop for Guard {
    fn drop(&mut self) {
        let cluster = self.0.clone();
        // A runtime of its own, in a thread of its own: this may run inside another one, while it unwinds.
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let known = Cluster::load(cluster.paths().root()).unwrap().is_some();
            known.then(|| runtime.block_on(cluster.down(Down { purge: true }, &mut quiet())))
        });
        if let Ok(Some(Err(error))) = ended.join() {
            eprintln!("cleaning up: {error}");
        }
    }
}
