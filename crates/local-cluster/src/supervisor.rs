//! The supervisor: starts the processes of the plan and starts again what ends.
//!
//! It holds nothing that matters. When it is killed, the processes run on; the next one finds them by their records
//! and watches them instead of starting them twice.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gantry_telemetry::wait;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::plan::{CONTAINERD_SOCKET, MARK, Plan, Process, Sign};
use crate::process::{Identity, Record};
use crate::{Error, Paths, Result, files, forward, logs};

/// A process that lived this long is started again at once when it ends.
const HEALTHY: Duration = Duration::from_secs(10);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(5);
/// How long a first start waits for what it builds on. Then it is tried all the same: its log tells more.
const SIGN_LIMIT: Duration = Duration::from_secs(30);
const SIGN_INTERVAL: Duration = Duration::from_millis(5);
const ROTATE_EVERY: Duration = Duration::from_secs(5);
/// How long a process that the plan has changed may take to end.
const REPLACE_GRACE: Duration = Duration::from_secs(10);

/// The name of the supervisor's own record and log.
pub(crate) const NAME: &str = "supervisor";

/// Runs the supervisor of the cluster in `state_dir` until `stop`; the cluster's processes run on after it.
pub async fn supervise(state_dir: &Path, stop: CancellationToken) -> Result<()> {
    let paths = Paths::new(state_dir.to_owned());
    let plan: Plan =
        files::read_json(&paths.plan())?.ok_or_else(|| Error::NoCluster(state_dir.to_owned()))?;
    let own = std::process::id().cast_signed();
    if let Some(identity) = Identity::of(own) {
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        files::write_json(&paths.pid_file(NAME), &Record { identity, command, starts: 1 })?;
    }
    let tasks = TaskTracker::new();
    tasks.spawn(forward::run(plan.forward.clone(), stop.clone()));
    tasks.spawn(rotate_logs(paths.clone(), plan.clone(), stop.clone()));
    for process in plan.processes {
        tasks.spawn(keep(process, paths.clone(), stop.clone()));
    }
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Keeps one process running until `stop`.
async fn keep(process: Process, paths: Paths, stop: CancellationToken) {
    let keeper = Keeper { command: process.command_line().join(" "), process, paths };
    tokio::select! {
        () = stop.cancelled() => {}
        () = keeper.run() => {}
    }
}

struct Keeper {
    process: Process,
    command: String,
    paths: Paths,
}

impl Keeper {
    async fn run(&self) {
        let name = &self.process.name;
        let mut starts = self.take_over().await;
        if starts == 0 {
            self.await_signs().await;
        }
        let mut delay = Duration::ZERO;
        loop {
            tokio::time::sleep(delay).await;
            starts += 1;
            let began = Instant::now();
            match self.start_and_wait(starts).await {
                Ok(exit) => tracing::warn!(name, exit, "ended: starting it again"),
                Err(error) => tracing::error!(name, %error, "cannot be started"),
            }
            delay = next_delay(delay, began.elapsed());
        }
    }

    /// Watches the process that an earlier supervisor started, until it ends; returns its count of starts.
    async fn take_over(&self) -> u32 {
        let name = &self.process.name;
        let record = match Record::running(&self.paths.pid_file(name)) {
            Ok(Some(record)) => record,
            Ok(None) => return 0,
            Err(error) => {
                tracing::warn!(name, %error, "no usable record");
                return 0;
            }
        };
        if record.command == self.command {
            tracing::info!(name, pid = record.identity.pid, "runs already");
            record.identity.gone().await;
            tracing::warn!(name, "ended: starting it again");
        } else {
            tracing::info!(name, pid = record.identity.pid, "the plan has changed: replacing it");
            record.identity.stop(REPLACE_GRACE).await;
        }
        record.starts
    }

    async fn await_signs(&self) {
        for sign in &self.process.after {
            let what = format!("{sign:?}");
            let seen = wait::until(SIGN_LIMIT, SIGN_INTERVAL, &what, || self.check(sign)).await;
            if let Err(error) = seen {
                tracing::warn!(name = self.process.name, %error, "starting it all the same");
            }
        }
    }

    async fn check(&self, sign: &Sign) -> std::io::Result<()> {
        match sign {
            Sign::Tcp(address) => connect(*address).await,
            Sign::Containerd(name) => {
                let record = Record::running(&self.paths.pid_file(name)).ok().flatten();
                let pid = record.ok_or(std::io::ErrorKind::NotFound)?.identity.pid;
                // The socket is in the node's private /run, which its process' root leads into.
                UnixStream::connect(format!("/proc/{pid}/root{CONTAINERD_SOCKET}")).await.map(drop)
            }
        }
    }

    async fn start_and_wait(&self, starts: u32) -> Result<String> {
        let process = &self.process;
        let log = logs::open(&self.paths.log(&process.name))?;
        let line = process.command_line();
        let failed =
            |error: std::io::Error| Error::Command { command: line[0].clone(), what: error.to_string() };
        let mut child = Command::new(&line[0])
            .args(&line[1..])
            .envs(&process.env)
            .env(MARK, self.paths.root())
            .env("PATH", search_path())
            .env_remove("NOTIFY_SOCKET")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let identity = child.id().and_then(|pid| Identity::of(pid.cast_signed()));
        if let Some(identity) = identity {
            let record = Record { identity, command: self.command.clone(), starts };
            files::write_json(&self.paths.pid_file(&process.name), &record)?;
            tracing::info!(name = process.name, pid = identity.pid, "started");
        }
        let exit = child.wait().await.map_err(failed)?;
        Ok(exit.to_string())
    }
}

/// `PATH` with the directories of root's programs, which a shell of another user lacks.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

async fn connect(address: SocketAddr) -> std::io::Result<()> {
    TcpStream::connect(address).await.map(drop)
}

/// The first restart is immediate; what keeps ending soon after its start waits longer each time.
fn next_delay(last: Duration, lived: Duration) -> Duration {
    if lived >= HEALTHY { Duration::ZERO } else { (last * 2).clamp(FIRST_DELAY, MAX_DELAY) }
}

async fn rotate_logs(paths: Paths, plan: Plan, stop: CancellationToken) {
    while tokio::time::timeout(ROTATE_EVERY, stop.cancelled()).await.is_err() {
        let names = plan.processes.iter().map(|process| process.name.as_str()).chain([NAME]);
        for name in names {
            if let Err(error) = logs::rotate(&paths.log(name)) {
                tracing::warn!(name, %error, "its log grows on");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_healthy_process_restarts_at_once_and_a_crashing_one_ever_later() {
        let soon = Duration::from_millis(3);
        let mut delay = next_delay(Duration::ZERO, HEALTHY);
        assert_eq!(delay, Duration::ZERO);
        let mut seen = Vec::new();
        for _ in 0..10 {
            delay = next_delay(delay, soon);
            seen.push(delay.as_millis());
        }
        assert_eq!(seen, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert_eq!(next_delay(delay, HEALTHY), Duration::ZERO);
    }
}
