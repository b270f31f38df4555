//! What is kept in a container's record in containerd, so that nothing needs to be remembered outside.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::{Any, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{ContainerConfig, ContainerState, Error, LogConfig, Result};

/// Written once, when the container is created.
const CREATED: &str = "gantry.dev/runtime";
/// Written when it is started: nanoseconds since 1970. Empty for one that was given up.
pub(super) const STARTED: &str = "gantry.dev/runtime-started";
/// Written when it has ended.
pub(super) const FINISHED: &str = "gantry.dev/runtime-finished";

/// What starting and watching a container need to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Created {
    pub(super) image_id: String,
    pub(super) cgroup: PathBuf,
    pub(super) tty: bool,
    pub(super) stdin: bool,
    /// Where the output goes, as containerd takes it; empty for nowhere.
    pub(super) output: String,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) exit_code: i32,
    pub(super) at: SystemTime,
    pub(super) oom_killed: bool,
}

impl Finished {
    /// The state of a container that was started then and has ended so.
    pub(super) fn state(self, started_at: SystemTime) -> ContainerState {
        ContainerState::Exited {
            exit_code: self.exit_code,
            started_at,
            finished_at: self.at,
            oom_killed: self.oom_killed,
        }
    }
}

impl Created {
    pub(super) fn new(config: &ContainerConfig, image_id: &str, log_driver: &std::path::Path) -> Self {
        // The shim cannot give a process an input and no output.
        let nowhere = if config.stdin { "file:///dev/null" } else { "" };
        Self {
            image_id: image_id.to_owned(),
            cgroup: crate::spec::cgroup_path(config),
            tty: config.tty,
            // The shim connects no input to a process whose output goes to a driver, save on a terminal.
            stdin: config.stdin && (config.tty || config.log.is_none()),
            output: config.log.as_ref().map(|log| driver_uri(log_driver, log)).unwrap_or(nowhere.into()),
        }
    }
}

/// The labels of a new container's record.
pub(super) fn labels(config: &ContainerConfig, created: &Created) -> HashMap<String, String> {
    let mut labels: HashMap<_, _> = config.labels.clone().into_iter().collect();
    // A struct of strings and flags always becomes JSON.
    let json = serde_json::to_string(created).unwrap_or_default();
    labels.insert(CREATED.into(), json);
    labels
}

/// Takes our own labels out of a record's.
pub(super) fn take(
    id: &str,
    labels: &mut HashMap<String, String>,
) -> Result<(Created, Option<SystemTime>, Option<Finished>)> {
    let broken = |value: &str| Error::Runtime {
        call: "read the container's record",
        reason: format!("container {id:?} has the label {value:?}, which this runtime did not write"),
    };
    let created = labels.remove(CREATED).unwrap_or_default();
    let created = serde_json::from_str(&created).map_err(|_| broken(&created))?;
    let started = match labels.remove(STARTED).filter(|text| !text.is_empty()) {
        Some(text) => Some(parse_time(&text).ok_or_else(|| broken(&text))?),
        None => None,
    };
    let finished = match labels.remove(FINISHED) {
        Some(text) => Some(serde_json::from_str(&text).map_err(|_| broken(&text))?),
        None => None,
    };
    Ok((created, started, finished))
}

pub(super) fn format_time(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

fn parse_time(text: &str) -> Option<SystemTime> {
    text.parse().ok().map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos))
}

/// A protobuf time; the beginning of 1970 when it is absent.
pub(super) fn time(timestamp: Option<Timestamp>) -> SystemTime {
    timestamp.and_then(|timestamp| SystemTime::try_from(timestamp).ok()).unwrap_or(UNIX_EPOCH)
}

/// Where containerd's shim sends the output: to a driver process that it starts.
fn driver_uri(driver: &std::path::Path, log: &LogConfig) -> String {
    use gantry_log_driver_keys::{LOG, MAX_FILES, MAX_SIZE};
    format!(
        "binary://{}?{LOG}={}&{MAX_SIZE}={}&{MAX_FILES}={}",
        escape(&driver.to_string_lossy()),
        escape(&log.path.to_string_lossy()),
        log.max_size_bytes,
        log.max_files
    )
}

/// The driver's argument names. They are its command line, a contract between processes rather than between crates.
mod gantry_log_driver_keys {
    pub(super) const LOG: &str = "log";
    pub(super) const MAX_SIZE: &str = "max-size";
    pub(super) const MAX_FILES: &str = "max-files";
}

/// Percent-encodes everything but unreserved characters and slashes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(byte.into());
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Options of containerd's runc shim, `containerd.runc.v1.Options`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RuncOptions {
    #[prost(string, tag = "6")]
    pub(super) binary_name: String,
    #[prost(string, tag = "7")]
    pub(super) root: String,
    #[prost(bool, tag = "9")]
    pub(super) systemd_cgroup: bool,
}

impl RuncOptions {
    pub(super) fn to_any(&self) -> Any {
        Any { type_url: "containerd.runc.v1.Options".into(), value: prost::Message::encode_to_vec(self) }
    }
}

/// Part of an OCI specification as containerd passes it around: JSON under a type name.
pub(super) fn spec_any(kind: &'static str, value: &impl Serialize) -> Result<Any> {
    let value = serde_json::to_vec(value)
        .map_err(|error| Error::Runtime { call: "encode the specification", reason: error.to_string() })?;
    Ok(Any { type_url: format!("types.containerd.io/opencontainers/runtime-spec/1/{kind}"), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back() {
        let mut config = ContainerConfig { id: "c".into(), cgroup_parent: "/a".into(), ..Default::default() };
        config.labels.insert("pod".into(), "p".into());
        config.log = Some(LogConfig::new("/var/log/pods/a b&c/0.log"));
        let created = Created::new(&config, "sha256:1", std::path::Path::new("/bin/driver"));
        assert_eq!(
            created.output,
            "binary:///bin/driver?log=/var/log/pods/a%20b%26c/0.log&max-size=10485760&max-files=5"
        );
        let mut labels = labels(&config, &created);
        let started = UNIX_EPOCH + Duration::new(5, 6);
        labels.insert(STARTED.into(), format_time(started));
        let finished = Finished { exit_code: 3, at: started, oom_killed: true };
        labels.insert(FINISHED.into(), serde_json::to_string(&finished).unwrap());
        assert_eq!(take("c", &mut labels).unwrap(), (created, Some(started), Some(finished)));
        assert_eq!(labels.len(), 1);
    }
}
