//! Logs of supervised processes, kept below a size.
//!
//! A process writes straight into its file, so that it needs no one to read from it. The supervisor copies a file
//! that has grown too large and empties it; what is written between the two is lost, which is the price of that.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::{Error, Result, files};

/// The size from which a log is moved aside. There is one older copy, so a process takes up to twice this.
const MAX_BYTES: u64 = 16 << 20;

/// Opens the log at `path` for appending.
pub(crate) fn open(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        files::private_dir(parent)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(Error::file(path))
}

/// Moves the log at `path` aside when it is too large.
pub(crate) fn rotate(path: &Path) -> Result<()> {
    rotate_above(path, MAX_BYTES)
}

fn rotate_above(path: &Path, limit: u64) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.len() > limit => {}
        _ => return Ok(()),
    }
    let old = path.with_extension("log.1");
    fs::copy(path, &old).map_err(Error::file(&old))?;
    let file = OpenOptions::new().write(true).open(path).map_err(Error::file(path))?;
    file.set_len(0).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_large_log_is_moved_aside_while_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.log");
        let mut log = open(&path).unwrap();
        log.write_all(b"0123456789").unwrap();
        rotate_above(&path, 10).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
        rotate_above(&path, 9).unwrap();
        log.write_all(b"next").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"next");
        assert_eq!(fs::read(dir.path().join("etcd.log.1")).unwrap(), b"0123456789");
    }
}
