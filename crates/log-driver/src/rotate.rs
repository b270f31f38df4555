//! The log file and its rotated predecessors.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};

/// When a log is rotated and how much of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPolicy {
    /// A record that would make a file longer than this goes into the next one.
    pub max_size: u64,
    /// Files kept, with the current one.
    pub max_files: usize,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self { max_size: 10 << 20, max_files: 5 }
    }
}

/// The end of a log, open for appending.
///
/// The current file is locked (`flock`) for as long as its writer lives, and its successor is locked before the lock
/// is given up. So a reader that gets the lock at the end of a file, and finds no later file, knows that nothing more
/// will come.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    policy: RotationPolicy,
    file: Flock<File>,
    size: u64,
}

impl LogFile {
    /// Opens the log for appending, with its directory when that does not exist.
    pub fn open(path: impl Into<PathBuf>, policy: RotationPolicy) -> io::Result<Self> {
        let path = path.into();
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let (file, size) = open_locked(&path)?;
        Ok(Self { path, policy, file, size })
    }

    /// Appends whole records, rotating first when they do not fit. Either all of `records` is in the file afterwards
    /// or nothing.
    pub fn append(&mut self, records: &[u8], now: Timestamp) -> io::Result<()> {
        if self.size > 0 && !self.has_room(0, records.len()) {
            self.rotate(now)?;
        }
        let written = self.file.write_all(records);
        if written.is_err() {
            // A torn record would swallow the next one.
            self.file.set_len(self.size)?;
        } else {
            self.size += records.len() as u64;
        }
        written
    }

    /// Whether `more` bytes still fit into the current file after `waiting` ones.
    pub fn has_room(&self, waiting: usize, more: usize) -> bool {
        self.size + (waiting + more) as u64 <= self.policy.max_size
    }

    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        let rotated = free_name(&self.path, now)?;
        fs::rename(&self.path, &rotated)?;
        // The old file stays locked until the new one is in place and locked too.
        (self.file, self.size) = open_locked(&self.path)?;
        let mut files = files(&self.path)?;
        let excess = files.len().saturating_sub(self.policy.max_files.max(1));
        for old in files.drain(..excess) {
            fs::remove_file(old)?;
        }
        Ok(())
    }
}

fn open_locked(path: &Path) -> io::Result<(Flock<File>, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    // Readers hold the lock for an instant only.
    let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
    Ok((lock, size))
}

/// The name for a file rotated now: the time is in it, and names sort by age even when rotation is faster than the
/// clock's seconds.
fn free_name(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let newest = files(path)?.into_iter().rev().find(|file| file != path);
    let mut time = now;
    // Bounded: each file that is kept can be in the way once, and a clock that went back by hours is not followed.
    for _ in 0..3600 {
        let name = with_suffix(path, &time.strftime("%Y%m%d-%H%M%S").to_string());
        if newest.as_ref().is_none_or(|newest| name > *newest) {
            return Ok(name);
        }
        time += jiff::SignedDuration::from_secs(1);
    }
    Ok(newest.map_or_else(|| with_suffix(path, "0"), |newest| with_suffix(&newest, "1")))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The files of a log that exist, oldest first; the current one, if it exists, is the last.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let prefix = format!("{name}.");
    let mut rotated = Vec::new();
    let mut current = false;
    for entry in fs::read_dir(directory)? {
        let entry = entry?.file_name().to_string_lossy().into_owned();
        let suffix = entry.strip_prefix(&prefix);
        if suffix.is_some_and(|s| s.starts_with(|c: char| c.is_ascii_digit())) {
            rotated.push(directory.join(&entry));
        }
        current |= entry == name;
    }
    rotated.sort();
    if current {
        rotated.push(path.to_owned());
    }
    Ok(rotated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn names(path: &Path) -> Vec<String> {
        let files = files(path).unwrap();
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn full_files_are_rotated_and_the_oldest_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/0.log");
        let mut log = LogFile::open(&path, RotationPolicy { max_size: 10, max_files: 3 }).unwrap();
        for i in 0..8 {
            log.append(format!("line{i}\n").as_bytes(), at(0)).unwrap();
        }
        // One line of 6 bytes per file; all were rotated within the same second.
        assert_eq!(names(&path), ["0.log.20260101-000005", "0.log.20260101-000006", "0.log"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "line7\n");
        assert_eq!(fs::read_to_string(files(&path).unwrap().remove(0)).unwrap(), "line5\n");
    }

    #[test]
    fn a_log_is_continued_where_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        for text in ["a\n", "b\n"] {
            LogFile::open(&path, RotationPolicy::default()).unwrap().append(text.as_bytes(), at(0)).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
    }

    #[test]
    fn a_record_larger_than_a_file_still_gets_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        let mut log = LogFile::open(&path, RotationPolicy { max_size: 2, max_files: 1 }).unwrap();
        log.append(b"longer\n", at(0)).unwrap();
        log.append(b"longest\n", at(1)).unwrap();
        assert_eq!(names(&path), ["0.log"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "longest\n");
    }
}
