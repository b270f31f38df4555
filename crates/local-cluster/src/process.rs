//! Which process is which, surely: a number alone may have been given to another process since.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;

use crate::{Result, files};

/// A process: its number and when it started, in the kernel's ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: i32,
    /// When it started.
    pub started: u64,
}

/// What is remembered of a supervised process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) identity: Identity,
    /// The command that started it, so that a changed plan is seen.
    pub(crate) command: String,
    /// How often it was started since the cluster came up.
    pub(crate) starts: u32,
}

impl Identity {
    /// The process that has number `pid` now, unless it is dead.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, started, _) = parse_stat(&stat)?;
        (!matches!(state, 'Z' | 'X')).then_some(Self { pid, started })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// A handle that cannot come to mean another process; `None` when it is gone.
    fn handle(&self) -> Option<OwnedFd> {
        let fd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::NONBLOCK).ok()?;
        // Checked after the handle was opened: if it is the right one now, the handle is.
        self.is_alive().then_some(fd)
    }

    /// Sends `signal`; nothing happens when it is gone.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(handle) = self.handle()
            && let Err(error) = pidfd_send_signal(&handle, signal)
        {
            tracing::debug!(pid = self.pid, %error, "the signal did not arrive");
        }
    }

    /// Waits until it is gone.
    pub(crate) async fn gone(&self) {
        let Some(handle) = self.handle() else { return };
        #[expect(
            deprecated,
            reason = "its replacement is unsafe, for types that exchange their descriptor; an OwnedFd never does"
        )]
        let watched = AsyncFd::new(handle);
        match watched {
            Ok(handle) => {
                // Readable means ended; an error means that nothing more can be learned.
                let _ = handle.readable().await;
            }
            Err(error) => {
                tracing::warn!(pid = self.pid, %error, "polling for the end of a process");
                while self.is_alive() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Asks it to end, waits up to `grace`, then kills it and waits a moment more.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(grace, self.gone()).await.is_err() {
            tracing::warn!(pid = self.pid, "did not end within {grace:?}: killed");
            self.signal(Signal::KILL);
            if tokio::time::timeout(Duration::from_secs(5), self.gone()).await.is_err() {
                tracing::warn!(pid = self.pid, "survives SIGKILL");
            }
        }
    }
}

impl Record {
    /// What is written at `path`, if that process still runs.
    pub(crate) fn running(path: &Path) -> Result<Option<Self>> {
        // A record that a crash of the machine has damaged says nothing that is still true.
        let record = files::read_json::<Self>(path).unwrap_or_default();
        Ok(record.filter(|record| record.identity.is_alive()))
    }
}

/// State, start time and parent of a process, from /proc/PID/stat.
pub(crate) fn parse_stat(stat: &str) -> Option<(char, u64, i32)> {
    // The name is in parentheses and may hold anything: the fields start after the last one.
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((state, started, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_past_a_hostile_name() {
        let stat = "42 (a) Z 9) S 7 42 42 0 -1 4194560 100 0 0 0 70 30 0 0 20 0 9 0 12345 1000 200 1";
        assert_eq!(parse_stat(stat), Some(('S', 12345, 7)));
    }

    #[tokio::test]
    async fn a_process_is_known_until_it_is_gone_and_a_stranger_is_never_signalled() {
        let mut child = tokio::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id().unwrap().cast_signed()).unwrap();
        assert!(identity.is_alive());

        let stranger = Identity { started: identity.started + 1, ..identity };
        assert!(!stranger.is_alive());
        stranger.signal(Signal::KILL);
        assert!(child.try_wait().unwrap().is_none());

        identity.stop(Duration::from_secs(5)).await;
        child.wait().await.unwrap();
        assert!(!identity.is_alive());
    }
}
