//! A position in a log that moves forward through its files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{Options, tail};
use crate::{cri, files};

const CHUNK: usize = 64 * 1024;

/// Longer lines are no records.
const MAX_LINE: usize = 1 << 20;

/// What one step of a cursor came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something was read; all of it may have been filtered out.
    Read(Bytes),
    /// There is nothing more for now.
    Idle,
    /// There will be nothing more.
    End,
}

/// A position in a log.
pub(super) struct Cursor {
    path: PathBuf,
    options: Options,
    file: File,
    /// The beginning of a line that is still being written.
    pending: Vec<u8>,
    at_line_start: bool,
    /// The end of the file was read after it was known that nothing is added to it any more.
    confirmed: bool,
    sent: u64,
}

impl Cursor {
    pub(super) fn open(path: PathBuf, options: Options) -> io::Result<Self> {
        let file = start(&path, options.tail_lines)?;
        Ok(Self { path, options, file, pending: Vec::new(), at_line_start: true, confirmed: false, sent: 0 })
    }

    pub(super) fn step(&mut self) -> io::Result<Step> {
        if self.options.limit_bytes.is_some_and(|limit| self.sent >= limit) {
            return Ok(Step::End);
        }
        let mut chunk = vec![0; CHUNK];
        let read = self.file.read(&mut chunk)?;
        if read == 0 {
            return self.at_end();
        }
        self.confirmed = false;
        let mut out = self.take(&chunk[..read]);
        if let Some(limit) = self.options.limit_bytes {
            out.truncate(usize::try_from(limit - self.sent).unwrap_or(usize::MAX));
        }
        self.sent += out.len() as u64;
        Ok(Step::Read(out.into()))
    }

    /// At the end of a file: goes on with the next one, waits for more, or ends.
    ///
    /// The order matters. A writer that rotates locks the new file before it lets go of the old one; so if the lock is
    /// free and there is no newer file, then there is no writer.
    fn at_end(&mut self) -> io::Result<Step> {
        let abandoned = self.is_abandoned()?;
        let newer = self.newer()?;
        if newer.is_none() && !self.options.follow {
            return Ok(Step::End);
        }
        if newer.is_none() && !abandoned {
            return Ok(Step::Idle);
        }
        if !std::mem::replace(&mut self.confirmed, true) {
            // Something may have been added before the file was left: look once more.
            return Ok(Step::Read(Bytes::new()));
        }
        match newer {
            None => Ok(Step::End),
            Some(newer) => {
                self.confirmed = false;
                self.pending.clear();
                match File::open(newer) {
                    Ok(file) => self.file = file,
                    // Rotated once more between looking and opening: look again.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                Ok(Step::Read(Bytes::new()))
            }
        }
    }

    /// Whether nobody writes to the file any more.
    fn is_abandoned(&self) -> io::Result<bool> {
        match Flock::lock(self.file.try_clone()?, FlockArg::LockSharedNonblock) {
            Ok(_) => Ok(true),
            Err((_, Errno::EAGAIN)) => Ok(false),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// The file that follows the one that is being read.
    fn newer(&self) -> io::Result<Option<PathBuf>> {
        let own = self.file.metadata()?;
        let same = |path: &Path| path.metadata().is_ok_and(|m| (m.dev(), m.ino()) == (own.dev(), own.ino()));
        let mut files = match files(&self.path) {
            // The whole directory was removed with its pod.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let place = files.iter().position(|path| same(path));
        // A file that has been removed was older than all that are left.
        let next = place.map_or(0, |place| place + 1);
        Ok((next < files.len()).then(|| files.swap_remove(next)))
    }

    /// Takes bytes of the file and makes what is shown of them.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        if !self.pending.is_empty()
            && let Some(first) = lines.next()
        {
            let mut line = std::mem::take(&mut self.pending);
            line.extend_from_slice(first);
            self.line(line.as_slice(), &mut out);
        }
        for line in lines {
            self.line(line, &mut out);
        }
        out
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(line) = line.strip_suffix(b"\n") else {
            if line.len() <= MAX_LINE {
                self.pending = line.to_vec();
            }
            return;
        };
        // A line that is no record was torn by a crash, and there is nothing to be told of it.
        let Ok(record) = cri::parse(line) else { return };
        let wanted = self.options.stream.is_none_or(|stream| stream == record.stream)
            && self.options.since.is_none_or(|since| record.time >= since);
        if !wanted {
            return;
        }
        if self.options.timestamps && self.at_line_start {
            out.extend_from_slice(format!("{:.9} ", record.time).as_bytes());
        }
        out.extend_from_slice(record.text);
        if record.full {
            out.push(b'\n');
        }
        self.at_line_start = record.full;
    }
}

/// Opens the file with which reading begins, at the place where it begins.
fn start(path: &Path, tail_lines: Option<u64>) -> io::Result<File> {
    let mut files = files(path)?;
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, format!("{}: there is no log yet", path.display()));
    let Some(mut lines) = tail_lines else {
        return File::open(files.first().ok_or_else(missing)?);
    };
    let mut found = None;
    while let Some(path) = files.pop() {
        let mut file = match File::open(path) {
            // Rotated away meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound && found.is_some() => break,
            other => other?,
        };
        let (offset, short) = tail::find(&file, lines)?;
        file.seek(SeekFrom::Start(offset))?;
        found = Some(file);
        if short == 0 {
            break;
        }
        lines = short;
    }
    found.ok_or_else(missing)
}
