//! The baseline of a pod's start: bare `runc run` of the same image.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::sample::Sample;

/// Makes a bundle of an image in an OCI image layout.
///
/// # Errors
/// Where the layout cannot be read or the bundle not be written.
pub fn unpack(layout: &Path, image: &str, bundle: &Path) -> anyhow::Result<()> {
    let index = read_json(&layout.join("index.json"))?;
    let manifests = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = |manifest: &&Value| {
        let annotations = manifest["annotations"].as_object();
        annotations.is_some_and(|all| all.values().any(|name| name == image))
    };
    let manifest = manifests.iter().find(named).with_context(|| format!("{image} is not in {layout:?}"))?;
    let manifest = read_json(&blob(layout, &manifest["digest"])?)?;
    let rootfs = bundle.join("rootfs");
    for layer in manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let file = fs::File::open(blob(layout, &layer["digest"])?)?;
        tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(&rootfs)?;
    }
    let config = read_json(&blob(layout, &manifest["config"]["digest"])?)?;
    fs::write(bundle.join("config.json"), spec(&config["config"]).to_string())?;
    Ok(())
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_slice(&text)?)
}

fn blob(layout: &Path, digest: &Value) -> anyhow::Result<std::path::PathBuf> {
    let digest = digest.as_str().and_then(|text| text.strip_prefix("sha256:")).context("no sha256 digest")?;
    Ok(layout.join("blobs/sha256").join(digest))
}

/// What a kubelet would ask of runc at the least.
fn spec(config: &Value) -> Value {
    let namespace = |name: &str| json!({"type": name});
    let namespaces: Vec<Value> = ["pid", "ipc", "uts", "mount", "network"].map(namespace).into();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "args": config["Entrypoint"], "env": config["Env"], "cwd": "/",
            "user": {"uid": 65532, "gid": 65532}, "noNewPrivileges": true,
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {"namespaces": namespaces, "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"}},
    })
}

async fn run(bundle: &Path, state: &Path, id: &str) -> anyhow::Result<()> {
    let mut config: Value = read_json(&bundle.join("config.json"))?;
    config["linux"]["cgroupsPath"] = json!(format!("/gantry-bench-{id}"));
    // A bundle of its own for each, over the same files.
    let own = state.join(format!("bundle-{id}"));
    fs::create_dir_all(&own)?;
    config["root"]["path"] = json!(bundle.join("rootfs"));
    fs::write(own.join("config.json"), config.to_string())?;
    runc(state, &["run", "--detach", "--bundle", &own.to_string_lossy(), id]).await
}

async fn runc(state: &Path, args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("runc");
    command.arg("--root").arg(state).args(args);
    // A detached container keeps what it inherits.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().await.context("runc")?;
    if !status.success() {
        bail!("runc {} failed: {status}", args.join(" "));
    }
    Ok(())
}

/// Prints the times of one container, ten times, and of thirty at once.
///
/// # Errors
/// Where runc fails. Containers that it started are removed all the same.
pub async fn starts(bundle: &Path) -> anyhow::Result<()> {
    let state = tempfile::tempdir()?;
    let mut started = BTreeSet::new();
    let outcome = measure(bundle, state.path(), &mut started).await;
    for id in &started {
        runc(state.path(), &["delete", "--force", id]).await?;
    }
    outcome
}

async fn measure(bundle: &Path, state: &Path, started: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let mut single = Sample::default();
    for i in 0..10 {
        let id = format!("one{i}");
        started.insert(id.clone());
        let begin = Instant::now();
        run(bundle, state, &id).await?;
        single.add(begin.elapsed());
    }
    println!("bare runc run, one: p50 {:?}, p99 {:?}", single.quantile(0.5), single.quantile(0.99));
    let ids: Vec<_> = (0..30).map(|i| format!("many{i}")).collect();
    started.extend(ids.iter().cloned());
    let begin = Instant::now();
    let runs = ids.iter().map(|id| async {
        run(bundle, state, id).await?;
        anyhow::Ok(begin.elapsed())
    });
    let mut many = Sample::default();
    for took in futures::future::try_join_all(runs).await? {
        many.add(took);
    }
    println!("bare runc run, 30 at once: p50 {:?}, last {:?}", many.quantile(0.5), many.quantile(1.0));
    Ok(())
}
