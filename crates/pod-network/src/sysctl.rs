//! Kernel parameters of the calling thread's namespaces.

use std::{fs, io, path::PathBuf};

use crate::Error;

/// Sets one parameter, for example `net.ipv4.ip_forward`, in the namespaces of the calling thread.
pub(crate) fn set(name: &str, value: &str) -> Result<(), Error> {
    let path = path_of(name).ok_or_else(|| Error::InvalidSysctl(name.to_owned()))?;
    if fs::read_to_string(&path).is_ok_and(|now| now.trim() == value) {
        // Nothing to change: works where /proc/sys is read-only but already right.
        return Ok(());
    }
    fs::write(&path, value).map_err(|source| Error::Sysctl {
        name: name.to_owned(),
        value: value.to_owned(),
        source,
    })
}

/// Sets a parameter that some kernels do not have; its absence is no error.
pub(crate) fn set_if_present(name: &str, value: &str) -> Result<(), Error> {
    match set(name, value) {
        Err(Error::Sysctl { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The file of a parameter. With `/` as separator a component may contain dots, as interface names do.
fn path_of(name: &str) -> Option<PathBuf> {
    let separator = if name.contains('/') { '/' } else { '.' };
    let mut path = PathBuf::from("/proc/sys");
    for part in name.split(separator) {
        let plain = !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !plain {
            return None;
        }
        path.push(part);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        let path = |name| path_of(name).map(|path| path.display().to_string());
        assert_eq!(path("net.ipv4.ip_forward").as_deref(), Some("/proc/sys/net/ipv4/ip_forward"));
        assert_eq!(
            path("net/ipv4/conf/eth0.1/forwarding").as_deref(),
            Some("/proc/sys/net/ipv4/conf/eth0.1/forwarding")
        );
        assert_eq!(path(""), None);
        assert_eq!(path("net..ipv4"), None);
        assert_eq!(path("net/../../etc/passwd"), None);
        assert_eq!(path("kernel.\0"), None);
    }
}
