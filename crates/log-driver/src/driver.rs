//! The driver process: from the container's pipes into the log file.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cri::{Record, Splitter, Stream};
use crate::tap::Tap;
use crate::{LogFile, RotationPolicy};

/// As much as a pipe holds.
const READ_SIZE: usize = 64 * 1024;

/// Keys of the driver's arguments, as they are in the query of its `binary://` address.
pub mod keys {
    /// Path of the log file.
    pub const LOG: &str = "log";
    /// Size in bytes at which a file is rotated.
    pub const MAX_SIZE: &str = "max-size";
    /// Files kept, with the current one.
    pub const MAX_FILES: &str = "max-files";
}

/// What a driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The log file.
    pub path: PathBuf,
    /// When it is rotated.
    pub policy: RotationPolicy,
}

/// Why the arguments cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// There is no path.
    #[error("log: required, the path of the log file")]
    NoPath,
    /// A key has no value, or the key is not known.
    #[error("{0:?}: expected pairs of a key (log, max-size, max-files) and a value")]
    Unknown(String),
    /// A number cannot be read.
    #[error("{key}: {value:?} is not a positive number")]
    NotANumber {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
}

impl Options {
    /// Reads the arguments that follow the program's name: keys and values in turn.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut arguments = arguments.into_iter();
        let mut path = None;
        let mut policy = RotationPolicy::default();
        while let Some(key) = arguments.next() {
            let Some(value) = arguments.next() else { return Err(ArgumentError::Unknown(key)) };
            let number = || {
                let number = value.parse::<u64>().ok().filter(|n| *n > 0);
                number.ok_or_else(|| ArgumentError::NotANumber { key: key.clone(), value: value.clone() })
            };
            match key.as_str() {
                keys::LOG => path = Some(PathBuf::from(value)),
                keys::MAX_SIZE => policy.max_size = number()?,
                keys::MAX_FILES => policy.max_files = usize::try_from(number()?).unwrap_or(usize::MAX),
                _ => return Err(ArgumentError::Unknown(key)),
            }
        }
        path.filter(|p| !p.as_os_str().is_empty())
            .map(|path| Self { path, policy })
            .ok_or(ArgumentError::NoPath)
    }
}

/// Writes what comes from `stdout` and `stderr` to the log until both have ended. `ready` is closed as soon as the
/// container may start.
///
/// A log that cannot be written never holds up the container: output is then dropped and counted, and the log says
/// so when it works again.
///
/// # Errors
/// When the pipes cannot be read.
pub fn run(options: Options, stdout: OwnedFd, stderr: OwnedFd, ready: OwnedFd) -> io::Result<()> {
    let mut sink = Sink::new(options);
    // Before the container begins, so that nobody who attaches to it comes too early. Without it, nobody can.
    let mut tap = Tap::open(&sink.options.path)
        .inspect_err(|error| eprintln!("{}: no socket to attach to: {error}", sink.options.path.display()))
        .ok();
    drop(ready);
    let mut inputs = [Some(Input::new(Stream::Stdout, stdout)), Some(Input::new(Stream::Stderr, stderr))];
    let mut buffer = vec![0; READ_SIZE];
    while inputs.iter().any(Option::is_some) {
        let ready = wait(&inputs, tap.as_ref())?;
        if let Some(tap) = &mut tap {
            tap.serve();
        }
        for (input, ready) in inputs.iter_mut().zip(ready) {
            let Some(open) = input.as_mut().filter(|_| ready) else { continue };
            if !open.transfer(&mut buffer, &mut sink, tap.as_mut())? {
                *input = None;
            }
        }
    }
    // The log is complete, and says so, before anybody is waited for.
    drop(sink);
    if let Some(tap) = tap {
        tap.finish();
    }
    Ok(())
}

/// Waits until something is to be done, and says which input can be read.
fn wait(inputs: &[Option<Input>; 2], tap: Option<&Tap>) -> io::Result<[bool; 2]> {
    let inputs_polled = inputs.iter().flatten().map(|i| PollFd::new(i.pipe.as_fd(), PollFlags::POLLIN));
    let mut polled: Vec<PollFd<'_>> = inputs_polled.chain(tap.into_iter().flat_map(Tap::polled)).collect();
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut results = polled.iter().map(|p| p.any().unwrap_or(true));
    Ok([0, 1].map(|i| inputs[i].is_some() && results.next().unwrap_or(false)))
}

/// One of the container's outputs.
struct Input {
    stream: Stream,
    pipe: File,
    splitter: Splitter,
}

impl Input {
    fn new(stream: Stream, pipe: OwnedFd) -> Self {
        Self { stream, pipe: pipe.into(), splitter: Splitter::default() }
    }

    /// Moves what can be read now; `false` when the output has ended.
    fn transfer(&mut self, buffer: &mut [u8], sink: &mut Sink, tap: Option<&mut Tap>) -> io::Result<bool> {
        let read = loop {
            match self.pipe.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let (time, stream) = (Timestamp::now(), self.stream);
        let mut emit = |text: &[u8], full| sink.push(Record { time, stream, full, text });
        if read == 0 {
            self.splitter.finish(&mut emit);
        } else {
            self.splitter.feed(&buffer[..read], &mut emit);
        }
        sink.flush(time);
        if let Some(tap) = tap.filter(|_| read > 0) {
            tap.push(stream, &buffer[..read]);
        }
        Ok(read > 0)
    }
}

/// The log file, or the hope of one.
struct Sink {
    options: Options,
    file: Option<LogFile>,
    waiting: Vec<u8>,
    dropped: u64,
}

impl Sink {
    fn new(options: Options) -> Self {
        let file = LogFile::open(&options.path, options.policy).ok();
        Self { options, file, waiting: Vec::new(), dropped: 0 }
    }

    fn push(&mut self, record: Record<'_>) {
        let before = self.waiting.len();
        record.write_to(&mut self.waiting);
        let length = self.waiting.len() - before;
        if self.file.as_ref().is_some_and(|file| !file.has_room(before, length)) {
            let last = self.waiting.split_off(before);
            self.flush(record.time);
            self.waiting = last;
        }
    }

    fn flush(&mut self, now: Timestamp) {
        if self.waiting.is_empty() {
            return;
        }
        if let Err(error) = self.write(now) {
            self.dropped += self.waiting.len() as u64;
            // A rotation may have stopped half-way: begin anew from the path.
            self.file = None;
            // Standard error is the shim's log.
            eprintln!("{}: {error}; {} bytes dropped so far", self.options.path.display(), self.dropped);
        }
        self.waiting.clear();
        // One long line must not cost memory for ever.
        self.waiting.shrink_to(2 * READ_SIZE);
    }

    fn write(&mut self, now: Timestamp) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(LogFile::open(&self.options.path, self.options.policy)?),
        };
        if self.dropped > 0 {
            let text = format!("log driver: {} bytes were lost, the log could not be written", self.dropped);
            let mut record = Vec::new();
            Record { time: now, stream: Stream::Stderr, full: true, text: text.as_bytes() }
                .write_to(&mut record);
            file.append(&record, now)?;
            self.dropped = 0;
        }
        file.append(&self.waiting, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, ArgumentError> {
        Options::parse(arguments.iter().map(|a| (*a).to_owned()))
    }

    #[test]
    fn arguments_come_in_any_order() {
        let options = parse(&["max-files", "3", "log", "/l/0.log", "max-size", "100"]).unwrap();
        assert_eq!(options.path, PathBuf::from("/l/0.log"));
        assert_eq!(options.policy, RotationPolicy { max_size: 100, max_files: 3 });
    }

    #[test]
    fn bad_arguments_are_named() {
        assert_eq!(parse(&[]).unwrap_err(), ArgumentError::NoPath);
        assert_eq!(parse(&["log"]).unwrap_err(), ArgumentError::Unknown("log".into()));
        let error = parse(&["log", "/l", "max-size", "0"]).unwrap_err();
        assert_eq!(error.to_string(), "max-size: \"0\" is not a positive number");
    }

    /// Runs a driver on pipes of our own; gives their writing ends.
    fn start(options: Options) -> (File, File, std::thread::JoinHandle<io::Result<()>>) {
        let [out, err, ready] = [0; 3].map(|_| io::pipe().unwrap());
        let (stdout, stderr, done) = (out.0.into(), err.0.into(), ready.1.into());
        let driver = std::thread::spawn(move || run(options, stdout, stderr, done));
        // The container may start when this ends.
        let mut nothing = Vec::new();
        File::from(OwnedFd::from(ready.0)).read_to_end(&mut nothing).unwrap();
        (File::from(OwnedFd::from(out.1)), File::from(OwnedFd::from(err.1)), driver)
    }

    fn texts(path: &std::path::Path) -> Vec<String> {
        let log = std::fs::read_to_string(path).unwrap();
        log.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn both_outputs_are_written_to_their_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pod/0.log");
        let options = Options { path: path.clone(), policy: RotationPolicy::default() };
        let (mut out, mut err, driver) = start(options);
        io::Write::write_all(&mut out, b"one\ntwo").unwrap();
        drop(out);
        // The other output goes on.
        io::Write::write_all(&mut err, b"error\n").unwrap();
        drop(err);
        driver.join().unwrap().unwrap();
        let mut texts = texts(&path);
        texts.sort();
        assert_eq!(texts, ["stderr F error", "stdout F one", "stdout P two"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn output_is_told_as_it_comes() {
        use crate::attach::Attached;
        let dir = tempfile::tempdir().unwrap();
        // Longer than the path of a socket can be.
        let path = dir.path().join("a".repeat(100)).join("b".repeat(100)).join("0.log");
        let options = Options { path: path.clone(), policy: RotationPolicy::default() };
        let (mut out, mut err, driver) = start(options);
        let mut attached = Attached::to(&path).await.unwrap();
        let mut leaves = Attached::to(&path).await.unwrap();
        io::Write::write_all(&mut out, b"# ").unwrap();
        assert_eq!(attached.next().await.unwrap(), Some((Stream::Stdout, "# ".into())));
        assert_eq!(leaves.next().await.unwrap(), Some((Stream::Stdout, "# ".into())));
        drop(leaves);
        io::Write::write_all(&mut err, b"no\n").unwrap();
        assert_eq!(attached.next().await.unwrap(), Some((Stream::Stderr, "no\n".into())));
        drop((out, err));
        assert_eq!(attached.next().await.unwrap(), None);
        driver.join().unwrap().unwrap();
        assert!(Attached::to(&path).await.is_err());
        assert_eq!(texts(&path), ["stderr F no", "stdout P # "]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_listener_that_does_not_listen_is_cut_off() {
        use crate::attach::Attached;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        let options = Options { path: path.clone(), policy: RotationPolicy::default() };
        let (mut out, err, driver) = start(options);
        let mut attached = Attached::to(&path).await.unwrap();
        let much = b"much\n".repeat(1_000_000);
        tokio::task::spawn_blocking(move || io::Write::write_all(&mut out, &much).unwrap()).await.unwrap();
        let end = loop {
            match attached.next().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        drop(err);
        driver.join().unwrap().unwrap();
    }

    #[test]
    fn a_log_that_cannot_be_written_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        // A directory is in the way.
        std::fs::create_dir(&path).unwrap();
        let options = Options { path: path.clone(), policy: RotationPolicy::default() };
        let (mut out, err, driver) = start(options);
        let lost = b"lost\n".repeat(100_000);
        io::Write::write_all(&mut out, &lost).unwrap();
        std::fs::remove_dir(&path).unwrap();
        // More than the pipe holds, so that something comes after the way was clear.
        io::Write::write_all(&mut out, &b"kept\n".repeat(50_000)).unwrap();
        drop((out, err));
        driver.join().unwrap().unwrap();
        let texts = texts(&path);
        assert!(
            texts[0].starts_with("stderr F log driver: ") && texts[0].contains("bytes were lost"),
            "{}",
            texts[0]
        );
        assert_eq!(texts.last().unwrap(), "stdout F kept");
    }
}
