//! Named pipes between us and a process's shim.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::io::AsyncWrite;
use tokio::net::unix::pipe;

use super::super::Inner;
use crate::{Error, Result};

/// The part of the state directory for execs' pipes; no container can have this name.
const EXECS: &str = "_execs";

/// Makes the state directory, without the pipes of a predecessor that was killed: nobody will read them any more.
pub(in super::super) fn prepare(state_dir: &Path) -> Result<()> {
    let execs = state_dir.join(EXECS);
    match fs::remove_dir_all(&execs) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&execs, &error)),
        _ => {}
    }
    fs::create_dir_all(&execs).map_err(|error| io_error(&execs, &error))
}

/// A directory of pipes that is removed with its last user.
pub(super) struct PipeDir(PathBuf);

impl PipeDir {
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).map_err(|error| io_error(&path, &error))?;
        Ok(Self(path))
    }

    /// Makes a pipe and opens its reading end.
    pub(super) fn reader(&self, name: &str) -> Result<(String, pipe::Receiver)> {
        let path = make(&self.0, name)?;
        let receiver =
            pipe::OpenOptions::new().open_receiver(&path).map_err(|error| io_error(&path, &error))?;
        Ok((path.display().to_string(), receiver))
    }

    /// Makes a pipe and opens its writing end.
    pub(super) fn writer(&self, name: &str) -> Result<(String, pipe::Sender)> {
        let path = make(&self.0, name)?;
        Ok((path.display().to_string(), open_writer(&path)?))
    }
}

impl Drop for PipeDir {
    fn drop(&mut self) {
        // What is left of it lies on a memory file system and costs next to nothing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Inner {
    fn pipe_dir(&self, id: &str) -> PathBuf {
        self.options.state_dir.join(id)
    }

    /// The pipe of a container's standard input, made when it is not there yet.
    pub(in super::super) fn stdin_pipe(&self, id: &str) -> Result<String> {
        let directory = self.pipe_dir(id);
        fs::create_dir_all(&directory).map_err(|error| io_error(&directory, &error))?;
        Ok(make(&directory, "stdin")?.display().to_string())
    }

    pub(in super::super) fn remove_pipes(&self, id: &str) {
        // Containers without standard input have none.
        let _ = fs::remove_dir_all(self.pipe_dir(id));
    }

    pub(super) fn open_stdin_pipe(&self, id: &str) -> Result<pipe::Sender> {
        open_writer(&self.pipe_dir(id).join("stdin"))
    }

    pub(super) fn exec_dir(&self, exec_id: &str) -> Result<PipeDir> {
        PipeDir::create(self.options.state_dir.join(EXECS).join(exec_id))
    }
}

fn make(directory: &Path, name: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    match mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(path),
        Err(errno) => Err(io_error(&path, &errno.into())),
    }
}

/// Opens a pipe for writing, also when its reader has not come yet.
fn open_writer(path: &Path) -> Result<pipe::Sender> {
    pipe::OpenOptions::new().read_write(true).open_sender(path).map_err(|error| io_error(path, &error))
}

fn io_error(path: &Path, error: &io::Error) -> Error {
    Error::Io { path: path.display().to_string(), reason: error.to_string() }
}

/// A process's standard input. Closing ours is not enough to close the process's, because its shim holds the pipe
/// open as well: `on_close` tells it.
pub(super) struct Stdin<F: FnOnce()> {
    pub(super) pipe: Option<pipe::Sender>,
    pub(super) on_close: Option<F>,
}

impl<F: FnOnce()> Stdin<F> {
    fn close(&mut self) {
        self.pipe = None;
        if let Some(on_close) = self.on_close.take() {
            on_close();
        }
    }

    fn with<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut pipe::Sender>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.pipe {
            Some(pipe) => poll(Pin::new(pipe)),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl<F: FnOnce()> Drop for Stdin<F> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<F: FnOnce() + Unpin> AsyncWrite for Stdin<F> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|pipe| pipe.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|pipe| pipe.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}
