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
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

const SIGKILL: i32 = 9;

/// Runs a process to its end within `timeout` and keeps the first `limit` bytes of each stream.
pub(crate) async fn collect(session: ExecSession, timeout: Duration, limit: usize) -> Result<ExecOutput> {
    let ExecSession { stdin, stdout, stderr, control } = session;
    drop(stdin);
    let out = tokio::spawn(read_bounded(stdout, limit));
    let err = tokio::spawn(async move {
        match stderr {
            Some(stderr) => read_bounded(stderr, limit).await,
            None => (Bytes::new(), false),
        }
    });
    let waited = tokio::time::timeout(timeout, control.wait()).await;
    let exit_code = match waited {
        Ok(code) => code?,
        Err(_) => {
            out.abort();
            err.abort();
            control.kill(SIGKILL).await?;
            return Err(Error::Deadline { call: "exec", after: timeout });
        }
    };
    let ((stdout, more_out), (stderr, more_err)) = tokio::join!(finish(out), finish(err));
    Ok(ExecOutput { exit_code, stdout, stderr, truncated: more_out || more_err })
}

async fn finish(mut task: tokio::task::JoinHandle<(Bytes, bool)>) -> (Bytes, bool) {
    match tokio::time::timeout(OUTPUT_GRACE, &mut task).await {
        Ok(Ok(output)) => output,
        Ok(Err(_)) | Err(_) => {
            task.abort();
            (Bytes::new(), true)
        }
    }
}

/// Reads to the end, so that the writer never blocks, and keeps the beginning.
async fn read_bounded(mut from: Reader, limit: usize) -> (Bytes, bool) {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 8192];
    let mut truncated = false;
    // A broken stream has ended; what was read so far is what there is.
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = limit.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&buffer[..room]);
        truncated |= room < read;
    }
    (kept.into(), truncated)
}
