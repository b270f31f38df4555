//! The host's part of the network: blackhole routes, the bridge, and what nodes are attached to.

use std::path::Path;

use tokio::process::Command;

use crate::{Error, Network, Result};

/// Makes the cluster's ranges unable to leave by the host's default route, then the bridge.
pub(crate) async fn ensure(network: &Network) -> Result<()> {
    let bridge = network.bridge();
    let mut batch = Vec::new();
    // First of all: from here on no packet for a pod or service can get out, whatever fails later.
    for range in [Network::PODS, Network::SERVICES] {
        batch.push(format!("route replace blackhole {range} metric {}", network.metric()));
    }
    if !exists(&bridge) {
        batch.push(format!("link add {bridge} type bridge"));
    }
    batch.push(format!("address replace {}/24 dev {bridge}", network.gateway()));
    batch.push(format!("link set {bridge} up"));
    ip(&[], &batch).await
}

/// Removes what `ensure` made.
pub(crate) async fn remove(network: &Network) -> Result<()> {
    let bridge = network.bridge();
    if exists(&bridge) {
        ip(&[], &[format!("link delete {bridge}")]).await?;
    }
    for range in [Network::PODS, Network::SERVICES] {
        // The command fails when the route is gone already, which is what is wanted.
        if blackholes(network).await?.contains(&range.to_owned()) {
            ip(&[], &[format!("route delete blackhole {range} metric {}", network.metric())]).await?;
        }
    }
    Ok(())
}

/// The ranges that this cluster keeps from leaving, as the kernel has them now.
pub(crate) async fn blackholes(network: &Network) -> Result<Vec<String>> {
    let metric = network.metric().to_string();
    let text = run("ip", &["-4", "route", "show", "type", "blackhole"]).await?;
    let ours = text.lines().filter(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(2).any(|pair| pair == ["metric", &metric])
    });
    Ok(ours.filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect())
}

/// Whether there is an interface `name` on the host.
pub(crate) fn exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// Other interfaces of the host with an address in the range of the cluster's nodes.
pub(crate) async fn conflicts(network: &Network) -> Result<Vec<String>> {
    let bridge = network.bridge();
    let subnet = network.subnet();
    let text = run("ip", &["-4", "-oneline", "address", "show", "to", &subnet]).await?;
    let devices = text.lines().filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned));
    Ok(devices.filter(|device| *device != bridge).collect())
}

/// Runs several `ip` commands in one process, which stops at the first that fails.
pub(crate) async fn ip(options: &[&str], batch: &[String]) -> Result<()> {
    use std::process::Stdio;
    use tokio::io::AsyncWriteExt;

    let text = batch.join("\n") + "\n";
    let failed = |what: String| Error::Command { command: format!("ip {}: {text}", options.join(" ")), what };
    let mut child = Command::new("ip")
        .args(options)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

/// Runs a command to its end and returns what it printed.
pub(crate) async fn run(program: &str, args: &[&str]) -> Result<String> {
    let failed = |what: String| Error::Command { command: format!("{program} {}", args.join(" ")), what };
    let output =
        Command::new(program).args(args).output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
    }
}
