//! Scripted processes.

use std::io::Cursor;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{Error, ExecConfig, ExecControl, ExecSession, Result, TerminalSize};

/// What a further process in a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exec {
    /// Says something and ends.
    Say {
        /// On standard output.
        stdout: Vec<u8>,
        /// On standard error.
        stderr: Vec<u8>,
        /// Its exit code.
        exit_code: i32,
    },
    /// Copies its input to its output until the input ends.
    Echo,
    /// Neither says anything nor ends until it is killed.
    Hang,
}

impl Default for Exec {
    fn default() -> Self {
        Self::Say { stdout: Vec::new(), stderr: Vec::new(), exit_code: 0 }
    }
}

impl Exec {
    /// Ends at once with this exit code.
    pub fn exit(exit_code: i32) -> Self {
        Self::Say { stdout: Vec::new(), stderr: Vec::new(), exit_code }
    }

    /// Says this on standard output and succeeds.
    pub fn say(stdout: impl Into<Vec<u8>>) -> Self {
        Self::Say { stdout: stdout.into(), stderr: Vec::new(), exit_code: 0 }
    }
}

struct Control {
    exit: watch::Sender<Option<i32>>,
}

impl Control {
    fn end(&self, code: i32) {
        self.exit.send_if_modified(|exit| exit.is_none() && exit.replace(code).is_none());
    }
}

#[async_trait]
impl ExecControl for Control {
    async fn resize(&self, _size: TerminalSize) -> Result<()> {
        Ok(())
    }

    async fn kill(&self, signal: i32) -> Result<()> {
        self.end(128 + signal);
        Ok(())
    }

    async fn wait(&self) -> Result<i32> {
        let mut exit = self.exit.subscribe();
        let code = exit.wait_for(Option::is_some).await.ok().and_then(|code| *code);
        code.ok_or_else(|| Error::Runtime { call: "exec", reason: "the process was forgotten".into() })
    }
}

/// Starts a scripted process.
pub(super) fn run(exec: Exec, config: &ExecConfig) -> ExecSession {
    let control = Arc::new(Control { exit: watch::channel(None).0 });
    if let Some(timeout) = config.timeout {
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            control.end(137);
        });
    }
    let (tty, sink) = (config.tty, || config.stdin.then(|| Box::pin(tokio::io::sink()) as crate::Writer));
    match exec {
        Exec::Say { stdout, stderr, exit_code } => {
            control.end(exit_code);
            let stderr = (!tty).then(|| Box::pin(Cursor::new(stderr)) as crate::Reader);
            ExecSession { stdin: sink(), stdout: Box::pin(Cursor::new(stdout)), stderr, control }
        }
        Exec::Echo => {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let (output, input) = tokio::io::split(ours);
            let ended = Arc::clone(&control);
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(theirs);
                // Either side hanging up ends the process, as a closed pipe would.
                let _ = tokio::io::copy(&mut read, &mut write).await;
                drop(tokio::io::AsyncWriteExt::shutdown(&mut write).await);
                ended.end(0);
            });
            let stdin = config.stdin.then(|| Box::pin(input) as crate::Writer);
            let stderr = (!tty).then(|| Box::pin(tokio::io::empty()) as crate::Reader);
            ExecSession { stdin, stdout: Box::pin(output), stderr, control }
        }
        Exec::Hang => {
            let stderr = (!tty).then(|| Box::pin(tokio::io::empty()) as crate::Reader);
            ExecSession { stdin: sink(), stdout: silence(&control), stderr, control }
        }
    }
}

/// An output that stays silent until the process ends.
fn silence(control: &Control) -> crate::Reader {
    let (read, write) = tokio::io::duplex(1);
    let mut exit = control.exit.subscribe();
    tokio::spawn(async move {
        // An error means that the control is gone, which ends the output as well.
        let _ = exit.wait_for(Option::is_some).await;
        drop(write);
    });
    Box::pin(read)
}
