//! Further processes in a running container.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::{Error, Result};

/// A stream out of a process.
pub type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// A stream into a process. Shutting it down or dropping it closes the process's standard input.
pub type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// A process to run in a container, as the container's user and in its working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecConfig {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<(String, String)>,
    /// Run on a terminal: stdout and stderr are one stream.
    pub tty: bool,
    /// Open a standard input; otherwise it is empty.
    pub stdin: bool,
    /// Kill the process after this time.
    pub timeout: Option<Duration>,
}

impl ExecConfig {
    /// Runs `argv` without terminal, input or time limit.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// A running process. Its streams are to be read to their end, or the process blocks.
pub struct ExecSession {
    /// Into the process, if it was asked for.
    pub stdin: Option<Writer>,
    /// Out of the process; ends when all its descendants closed it.
    pub stdout: Reader,
    /// Out of the process; absent on a terminal.
    pub stderr: Option<Reader>,
    /// Everything besides the streams.
    pub control: Arc<dyn ExecControl>,
}

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession").field("stdin", &self.stdin.is_some()).finish_non_exhaustive()
    }
}

/// Controls a process started by [`crate::Runtime::exec`].
#[async_trait]
pub trait ExecControl: Send + Sync {
    /// Changes the terminal's size.
    async fn resize(&self, size: TerminalSize) -> Result<()>;

    /// Sends a signal to the process.
    async fn kill(&self, signal: i32) -> Result<()>;

    /// Waits for the process to end: its exit code, or 128 plus the signal that ended it. May be called by several.
    async fn wait(&self) -> Result<i32>;
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// What a short process said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code, or 128 plus the signal that ended it.
    pub exit_code: i32,
    /// The beginning of its standard output.
    pub stdout: Bytes,
    /// The beginning of its standard error.
    pub stderr: Bytes,
    /// Whether output beyond the limit was thrown away.
    pub truncated: bool,
}

/// How long output is still awaited after a process ended: a descendant may hold it open for ever.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);

const SIGKILL: i32 = 9;

/// Runs a process to its end within `timeout` and keeps the first `limit` bytes of each stream.
pub(crate) async fn collect(session: ExecSession, timeout: Duration, limit: usize) -> Result<ExecOutput> {
    let ExecSession { stdin, stdout, stderr, control } = session;
    drop(stdin);
    let (mut out, mut err) = (Kept::new(limit), Kept::new(limit));
    let mut exit_code = None;
    {
        let reading = async {
            let reading_err = async {
                if let Some(stderr) = stderr {
                    err.read(stderr).await;
                }
            };
            tokio::join!(out.read(stdout), reading_err);
        };
        tokio::pin!(reading);
        let mut read_all = false;
        let waiting = async {
            let waiting = control.wait();
            tokio::pin!(waiting);
            loop {
                tokio::select! {
                    code = &mut waiting => return code,
                    () = &mut reading, if !read_all => read_all = true,
                }
            }
        };
        match tokio::time::timeout(timeout, waiting).await {
            Ok(code) => exit_code = Some(code?),
            Err(_) => control.kill(SIGKILL).await?,
        }
        if exit_code.is_some() && !read_all {
            // What is still missing after the grace is marked as such.
            let _ = tokio::time::timeout(OUTPUT_GRACE, reading).await;
        }
    }
    let exit_code = exit_code.ok_or(Error::Deadline { call: "exec", after: timeout })?;
    let truncated = out.truncated || err.truncated;
    Ok(ExecOutput { exit_code, stdout: out.bytes.into(), stderr: err.bytes.into(), truncated })
}

/// The beginning of a stream.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, truncated: false }
    }

    /// Reads to the end, so that the writer never blocks, and keeps the beginning.
    async fn read(&mut self, mut from: Reader) {
        let mut buffer = vec![0; 8192];
        let cut = std::mem::replace(&mut self.truncated, true);
        let mut too_much = false;
        // A broken stream has ended; what was read so far is what there is.
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let room = self.limit.saturating_sub(self.bytes.len()).min(read);
            self.bytes.extend_from_slice(&buffer[..room]);
            too_much |= room < read;
        }
        self.truncated = cut || too_much;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that has ended while something else still holds its output.
    struct Ended;

    #[async_trait]
    impl ExecControl for Ended {
        async fn resize(&self, _: TerminalSize) -> Result<()> {
            Ok(())
        }

        async fn kill(&self, _: i32) -> Result<()> {
            Ok(())
        }

        async fn wait(&self) -> Result<i32> {
            Ok(0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn output_that_stays_open_is_not_awaited_for_ever() {
        let (read, mut write) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut write, b"some").await.unwrap();
        let session =
            ExecSession { stdin: None, stdout: Box::pin(read), stderr: None, control: Arc::new(Ended) };
        let output = collect(session, Duration::from_secs(60), 100).await.unwrap();
        assert_eq!((&output.stdout[..], output.truncated), (&b"some"[..], true));
        drop(write);
    }
}
