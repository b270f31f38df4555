//! Who a process is, so that another one on the same machine can tell whether it still lives.

use std::fmt;
use std::fs;

/// The separator cannot occur in host names.
const SEPARATOR: char = '_';

/// A process: its host for people to read; for other processes on that host, the boot, the process namespace, the
/// process and its start time, which no two processes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    host: String,
    /// Boot and process namespace: process numbers mean the same where these are equal.
    place: String,
    process: u32,
    start: u64,
}

impl Identity {
    /// This process. What cannot be read is replaced by something that no other process has, so that the identity is
    /// unique at any rate, and nobody takes this process for dead.
    #[must_use]
    pub fn of_this_process() -> Self {
        let process = std::process::id();
        let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "localhost".to_owned());
        let unknown = || (format!("unknown{:016x}", rand::random::<u64>()), 0);
        let (place, start) = place().zip(start_of(process).flatten()).unwrap_or_else(unknown);
        Self { host: host.replace(SEPARATOR, "-"), place, process, start }
    }

    /// Whether an identity is that of a process of this machine that is dead for certain.
    #[must_use]
    pub fn is_dead(identity: &str) -> bool {
        let Some(identity) = Self::parse(identity) else { return false };
        if place().as_ref() != Some(&identity.place) {
            return false;
        }
        match start_of(identity.process) {
            // It cannot be read, which says nothing.
            None => false,
            // There is no such process, or it is a corpse.
            Some(None) => true,
            // Its number was given to another process.
            Some(Some(start)) => start != identity.start,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(SEPARATOR);
        let host = parts.next()?.to_owned();
        let place = parts.next()?.to_owned();
        let process = parts.next()?.parse().ok()?;
        let start = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { host, place, process, start })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, place, process, start } = self;
        write!(f, "{host}{SEPARATOR}{place}{SEPARATOR}{process}{SEPARATOR}{start}")
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn place() -> Option<String> {
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let number: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{boot}-{number}"))
}

/// When a process started, in ticks since the boot; `Some(None)` where there is no such process or it has ended.
fn start_of(process: u32) -> Option<Option<u64>> {
    let text = match fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(None),
        Err(_) => return None,
    };
    // The command's name stands in parentheses and may hold anything; the fields after it are the third and on.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return Some(None);
    }
    fields.nth(18)?.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn a_living_process_is_not_dead_and_a_dead_one_is() {
        let me = Identity::of_this_process();
        assert_eq!(Identity::parse(&me.to_string()), Some(me.clone()));
        assert!(!Identity::is_dead(&me.to_string()));
        let recycled = Identity { start: me.start + 1, ..me.clone() };
        assert!(Identity::is_dead(&recycled.to_string()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = Identity { process: child.id(), ..me };
        child.wait().unwrap();
        assert!(Identity::is_dead(&gone.to_string()));
    }

    #[test]
    fn others_are_not_judged() {
        let elsewhere = Identity { place: "elsewhere".into(), process: 1, ..Identity::of_this_process() };
        assert!(!Identity::is_dead(&elsewhere.to_string()));
        assert!(!Identity::is_dead("host_0f5b9f5e-1c1d-4a8e-8a59-6d1d2b6f0f5e"));
        assert!(!Identity::is_dead(""));
    }
}
