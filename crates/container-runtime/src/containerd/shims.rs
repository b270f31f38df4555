//! Shim processes that containerd has lost.
//!
//! When the caller of a task's creation goes away half-way, containerd undoes what it did, and may forget a shim that
//! it has just started: it then runs on for ever, with the container's log driver, and no call reaches it. Only the
//! process table shows it.

use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Kills the shim of a container, if there is one. One that containerd does know ends the same way as by a crash:
/// containerd ends its container and removes what belongs to it.
///
/// Blocks for as long as it takes to read the command lines of all processes.
pub(super) fn kill(namespace: &str, id: &str) {
    // Without a process table there is nothing to be found, as when this process sees only its own.
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for pid in pids.filter_map(Pid::from_raw).filter(|pid| is_shim(*pid, namespace, id)) {
        // Held by the descriptor, the number cannot become another process's between the look and the signal.
        let killed = pidfd_open(pid, PidfdFlags::empty()).and_then(|process| {
            if is_shim(pid, namespace, id) { pidfd_send_signal(process, Signal::KILL) } else { Ok(()) }
        });
        match killed {
            Ok(()) => {
                tracing::debug!(container = id, ?pid, "the shim of a container that was given up is ended");
            }
            // It has ended by itself.
            Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(container = id, ?pid, %error, "a left-over shim cannot be ended"),
        }
    }
}

fn is_shim(pid: Pid, namespace: &str, id: &str) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    runs_shim(&line, namespace, id)
}

/// Whether a command line, as the kernel shows it, is that of this container's shim.
fn runs_shim(line: &[u8], namespace: &str, id: &str) -> bool {
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let program = words.first().and_then(|word| std::str::from_utf8(word).ok()).map(Path::new);
    let is_shim = program
        .and_then(Path::file_name)
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"containerd-shim-"));
    let has = |flag: &str, value: &str| {
        words.windows(2).any(|pair| pair[0] == flag.as_bytes() && pair[1] == value.as_bytes())
    };
    is_shim && has("-namespace", namespace) && has("-id", id)
}

#[cfg(test)]
mod tests {
    use super::runs_shim;

    #[test]
    fn only_the_containers_own_shim_is_found() {
        let line = b"/usr/bin/containerd-shim-runc-v2\0-namespace\0gantry\0-id\0ab\0-address\0/run/c.sock\0";
        assert!(runs_shim(line, "gantry", "ab"));
        assert!(!runs_shim(line, "gantry", "a"));
        assert!(!runs_shim(line, "moby", "ab"));
        assert!(!runs_shim(b"/bin/sh\0-namespace\0gantry\0-id\0ab\0", "gantry", "ab"));
        assert!(!runs_shim(b"", "gantry", "ab"));
    }
}
