//! Running one plugin: parameters by environment, settings by standard input, the result by standard output.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::Error;
use crate::PodRef;

/// Plugins may ask servers for addresses; a plugin that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a plugin is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Add,
    Del,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
        }
    }
}

/// The parameters of a call, the same for all plugins of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Invocation<'a> {
    pub(super) command: Command,
    pub(super) pod: &'a PodRef,
    pub(super) namespace: Option<&'a Path>,
    pub(super) interface: &'a str,
    pub(super) dirs: &'a [PathBuf],
}

impl Invocation<'_> {
    /// Runs the plugin and returns its result; `DEL` has none.
    pub(super) async fn run(self, plugin: &str, input: &Value) -> Result<Value, Error> {
        let failed = |source| Error::Run { plugin: plugin.to_owned(), source };
        let mut child = tokio::process::Command::new(self.find(plugin)?)
            .env("CNI_COMMAND", self.command.name())
            .env("CNI_CONTAINERID", &self.pod.uid)
            .env("CNI_NETNS", self.namespace.unwrap_or(Path::new("")))
            .env("CNI_IFNAME", self.interface)
            .env("CNI_ARGS", arguments(self.pod))
            .env("CNI_PATH", std::env::join_paths(self.dirs).unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (stdin, text) = (child.stdin.take(), input.to_string());
        let run = async {
            if let Some(mut stdin) = stdin {
                // A plugin that does not read fails or succeeds all the same.
                if let Err(error) = stdin.write_all(text.as_bytes()).await {
                    tracing::debug!(%error, plugin, "the plugin stopped reading");
                }
            }
            child.wait_with_output().await
        };
        let output = timeout(DEADLINE, run)
            .await
            .map_err(|_| Error::Deadline {
                plugin: plugin.to_owned(),
                command: self.command.name(),
                seconds: DEADLINE.as_secs(),
            })?
            .map_err(failed)?;
        if !output.status.success() {
            return Err(Error::Failed {
                plugin: plugin.to_owned(),
                command: self.command.name(),
                message: message(&output.stdout, &output.stderr),
            });
        }
        if self.command == Command::Del {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::Answer { plugin: plugin.to_owned(), reason: error.to_string() })
    }

    fn find(&self, plugin: &str) -> Result<PathBuf, Error> {
        let mut paths = self.dirs.iter().map(|dir| dir.join(plugin));
        paths
            .find(|path| path.is_file())
            .ok_or_else(|| Error::NotInstalled { plugin: plugin.to_owned(), dirs: self.dirs.to_vec() })
    }
}

/// What plugins that know Kubernetes read; the others must ignore it.
fn arguments(pod: &PodRef) -> String {
    format!(
        "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={};K8S_POD_UID={}",
        pod.namespace, pod.name, pod.uid, pod.uid
    )
}

/// The error that a plugin writes to its standard output, else whatever it wrote.
fn message(stdout: &[u8], stderr: &[u8]) -> String {
    if let Ok(error) = serde_json::from_slice::<Value>(stdout) {
        let parts = ["msg", "details"].map(|key| error.get(key).and_then(Value::as_str).unwrap_or_default());
        let text = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("; ");
        if !text.is_empty() {
            return text;
        }
    }
    let text = String::from_utf8_lossy(if stderr.is_empty() { stdout } else { stderr });
    text.trim().chars().take(1_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_own_message_is_preferred() {
        assert_eq!(
            message(br#"{"code": 7, "msg": "no range", "details": "none given"}"#, b"x"),
            "no range; none given"
        );
        assert_eq!(message(b"", b"panic: oh\n"), "panic: oh");
        assert_eq!(message(b"not json", b""), "not json");
    }
}
