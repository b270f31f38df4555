//! Handing a transaction to the kernel through the `nft` program.

use std::{process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

/// A full replacement with thousands of services takes seconds; nothing takes this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why a transaction did not take effect. The rules are then as they were before.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be run.
    #[error("cannot run nft: is nftables installed?")]
    Run(#[source] std::io::Error),
    /// The program or the kernel refused it.
    #[error("nft refused the rules: {0}")]
    Refused(String),
    /// The program did not end in time and was killed.
    #[error("nft did not finish within {} s", DEADLINE.as_secs())]
    Deadline,
}

/// Loads one transaction.
pub async fn load(script: &str) -> Result<(), Error> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::Run)?;
    let input = child.stdin.take();
    let run = async {
        if let Some(mut input) = input {
            // An early exit shows as a broken pipe here and as its message below.
            if let Err(error) = input.write_all(script.as_bytes()).await {
                tracing::debug!(%error, "nft stopped reading");
            }
        }
        child.wait_with_output().await
    };
    let output = timeout(DEADLINE, run).await.map_err(|_| Error::Deadline)?.map_err(Error::Run)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Refused(first_lines(&output.stderr)))
}

/// A refused transaction of thousands of elements repeats its message for each of them.
fn first_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text.lines().take(6).collect();
    lines.join("\n").chars().take(1_000).collect()
}
