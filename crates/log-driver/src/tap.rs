//! Listening to a container's output as it comes: a socket beside the log, for whoever attaches.
//!
//! A log has lines, and what a terminal shows has none: a prompt waits in the middle of one. So the driver hands out the
//! bytes as they come, too, in frames of a byte for the stream, four for the length, and the data. A listener that
//! falls behind is cut off: it must not hold up the container.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cri::Stream;

/// Listeners at once; further ones are turned away.
const MAX_CLIENTS: usize = 16;
/// How far a listener may be behind.
const MAX_BEHIND: usize = 1 << 20;
/// How long listeners may still read when the container has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The first byte of a frame: which stream it is of, or that nothing follows.
pub(crate) const END: u8 = 0;
pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
/// A stream and a length.
pub(crate) const HEAD: usize = 5;

/// Where the socket of a log is, by a path that is short enough for a socket however long the log's is. The file must
/// stay open while the path is used.
pub(crate) fn place(log: &Path) -> io::Result<(File, PathBuf)> {
    let directory = File::open(log.parent().unwrap_or(Path::new(".")))?;
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    let path = format!("/proc/self/fd/{}/.{name}.attach", directory.as_raw_fd());
    Ok((directory, path.into()))
}

/// The socket and who listens.
pub(crate) struct Tap {
    listener: UnixListener,
    clients: Vec<Client>,
    _directory: File,
    path: PathBuf,
}

struct Client {
    socket: UnixStream,
    behind: Vec<u8>,
}

impl Tap {
    /// Makes the socket of a log, in place of one that a predecessor left.
    pub(crate) fn open(log: &Path) -> io::Result<Self> {
        let (directory, path) = place(log)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, clients: Vec::new(), _directory: directory, path })
    }

    /// What to wait for.
    pub(crate) fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        let clients = self.clients.iter().map(|client| {
            let out = if client.behind.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            PollFd::new(client.socket.as_fd(), PollFlags::POLLIN | out)
        });
        std::iter::once(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)).chain(clients)
    }

    /// Lets in who comes, lets go who leaves, and sends what waits. Does not block.
    pub(crate) fn serve(&mut self) {
        // Whoever cannot be let in now comes again.
        while let Ok((socket, _)) = self.listener.accept() {
            if self.clients.len() < MAX_CLIENTS && socket.set_nonblocking(true).is_ok() {
                self.clients.push(Client { socket, behind: Vec::new() });
            }
        }
        self.clients.retain_mut(|client| client.listens() && client.send());
    }

    /// Hands out a piece of output.
    pub(crate) fn push(&mut self, stream: Stream, data: &[u8]) {
        let first = match stream {
            Stream::Stdout => STDOUT,
            Stream::Stderr => STDERR,
        };
        self.clients.retain_mut(|client| client.push(first, data) && client.send());
    }

    /// Says that nothing follows, and waits a while for listeners to take what is left.
    pub(crate) fn finish(mut self) {
        self.clients.retain_mut(|client| client.push(END, &[]) && client.send());
        let end = Instant::now() + LAST_WORDS;
        loop {
            self.clients.retain(|client| !client.behind.is_empty());
            let left = end.saturating_duration_since(Instant::now());
            if self.clients.is_empty() || left.is_zero() {
                break;
            }
            let mut polled: Vec<_> = self
                .clients
                .iter()
                .map(|client| PollFd::new(client.socket.as_fd(), PollFlags::POLLOUT))
                .collect();
            let limit = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            // An interrupted wait is only shorter.
            let _ = poll(&mut polled, limit);
            self.clients.retain_mut(Client::send);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // It may be gone with the whole directory.
        let _ = fs::remove_file(&self.path);
    }
}

impl Client {
    /// Whether it is still there. What it says is passed over.
    fn listens(&mut self) -> bool {
        let mut said = [0; 64];
        match self.socket.read(&mut said) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => is_later(&error),
        }
    }

    fn push(&mut self, first: u8, data: &[u8]) -> bool {
        if self.behind.len() + HEAD + data.len() > MAX_BEHIND {
            return false;
        }
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.behind.push(first);
        self.behind.extend_from_slice(&length.to_be_bytes());
        self.behind.extend_from_slice(data);
        true
    }

    /// Sends what goes without waiting; `false` where the listener is gone.
    fn send(&mut self) -> bool {
        while !self.behind.is_empty() {
            match self.socket.write(&self.behind) {
                Ok(0) => return false,
                Ok(sent) => drop(self.behind.drain(..sent)),
                Err(error) => return is_later(&error),
            }
        }
        self.behind.shrink_to(4096);
        true
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
