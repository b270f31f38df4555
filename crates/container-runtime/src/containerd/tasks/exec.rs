//! Further processes in a running container.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use containerd_client::services::v1::{
    CloseIoRequest, DeleteProcessRequest, ExecProcessRequest, KillRequest, ResizePtyRequest, StartRequest,
    WaitRequest,
};
use containerd_client::types::v1::Status;
use oci_spec::runtime::Process;
use serde::Deserialize;
use tokio::sync::watch;

use super::super::connection::{LONG, SHORT, Tolerate, call};
use super::super::containers::missing;
use super::super::{Inner, record};
use super::pipes::{PipeDir, Stdin};
use crate::{Error, ExecConfig, ExecControl, ExecSession, Reader, Result, TerminalSize, Writer};

const SIGKILL: u32 = 9;

/// How long an exec may run at most: a day is beyond any terminal session that is still watched.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The only part of a container's specification that an exec needs.
#[derive(Deserialize)]
struct ProcessOnly {
    process: Process,
}

/// A running exec.
struct Control {
    inner: Arc<Inner>,
    container: String,
    exec: String,
    ended: watch::Receiver<Option<Result<i32>>>,
}

impl Inner {
    pub(in super::super) async fn exec(
        inner: &Arc<Self>,
        id: &str,
        config: ExecConfig,
    ) -> Result<ExecSession> {
        let (container, task) = tokio::try_join!(inner.find(id), inner.task(id))?;
        let container = container.ok_or_else(|| missing(id))?;
        if task.as_ref().map(containerd_client::types::v1::Process::status) != Some(Status::Running) {
            let state = "not running".into();
            return Err(Error::WrongState { id: id.to_owned(), state, reason: "it must be running" });
        }
        let spec = container.spec.map(|spec| spec.value).unwrap_or_default();
        let own: ProcessOnly = serde_json::from_slice(&spec)
            .map_err(|error| Error::Runtime { call: "read the specification", reason: error.to_string() })?;
        let exec_id = uuid::Uuid::new_v4().simple().to_string();
        let pipes = inner.exec_dir(&exec_id)?;
        let (stdin_path, stdin) = optional(config.stdin, || pipes.writer("stdin"))?;
        let (stdout_path, stdout) = pipes.reader("stdout")?;
        let (stderr_path, stderr) = optional(!config.tty, || pipes.reader("stderr"))?;
        let connection = &inner.connection;
        let message = ExecProcessRequest {
            container_id: id.to_owned(),
            stdin: stdin_path,
            stdout: stdout_path,
            stderr: stderr_path,
            terminal: config.tty,
            spec: Some(record::spec_any("Process", &crate::spec::exec(&own.process, &config))?),
            exec_id: exec_id.clone(),
        };
        call("exec", LONG, connection.tasks().exec(connection.request(message, LONG))).await?;
        let (end, ended) = watch::channel(None);
        let control = Arc::new(Control {
            inner: Arc::clone(inner),
            container: id.to_owned(),
            exec: exec_id.clone(),
            ended,
        });
        let message = StartRequest { container_id: id.to_owned(), exec_id };
        let started =
            call("start exec", LONG, connection.tasks().start(connection.request(message, LONG))).await;
        if let Err(error) = started {
            control.delete().await;
            return Err(error);
        }
        tokio::spawn(supervise(Arc::clone(&control), pipes, config.timeout, end));
        let stdin = stdin.map(|pipe| {
            let control = Arc::clone(&control);
            let on_close = move || {
                tokio::spawn(async move { control.close_stdin().await });
            };
            Box::pin(Stdin { pipe: Some(pipe), on_close: Some(on_close) }) as Writer
        });
        let stderr = stderr.map(|pipe| Box::pin(pipe) as Reader);
        Ok(ExecSession { stdin, stdout: Box::pin(stdout), stderr, control })
    }

    pub(in super::super) async fn open_stdin(inner: &Arc<Self>, id: &str) -> Result<Writer> {
        let mut container = inner.find(id).await?.ok_or_else(|| missing(id))?;
        let (created, _, _) = record::take(id, &mut container.labels)?;
        if !created.stdin {
            return Err(Error::NotFound { kind: "standard input", name: id.to_owned() });
        }
        // Others may write to it later: it is not closed with this writer.
        let pipe = Some(inner.open_stdin_pipe(id)?);
        Ok(Box::pin(Stdin { pipe, on_close: None::<fn()> }))
    }
}

impl Inner {
    /// Changes the size of a process's terminal; the container's first one has no name.
    pub(in super::super) async fn resize(&self, id: &str, exec: &str, size: TerminalSize) -> Result<()> {
        let message = ResizePtyRequest {
            container_id: id.to_owned(),
            exec_id: exec.to_owned(),
            width: size.width.into(),
            height: size.height.into(),
        };
        let request = self.connection.request(message, SHORT);
        call("resize terminal", SHORT, self.connection.tasks().resize_pty(request)).await.map(drop)
    }
}

fn optional<T>(wanted: bool, make: impl FnOnce() -> Result<(String, T)>) -> Result<(String, Option<T>)> {
    if !wanted {
        return Ok((String::new(), None));
    }
    make().map(|(path, pipe)| (path, Some(pipe)))
}

/// Waits for the process to end, sees to its time limit, and cleans up after it.
async fn supervise(
    control: Arc<Control>,
    pipes: PipeDir,
    timeout: Option<Duration>,
    end: watch::Sender<Option<Result<i32>>>,
) {
    let waiting = control.wait_for_exit();
    tokio::pin!(waiting);
    let result = tokio::select! {
        result = &mut waiting => result,
        () = tokio::time::sleep(timeout.unwrap_or(LONGEST)) => match control.signal(SIGKILL).await {
            Ok(()) => waiting.await,
            Err(error) => Err(error),
        },
    };
    end.send_replace(Some(result));
    control.delete().await;
    drop(pipes);
}

impl Control {
    async fn wait_for_exit(&self) -> Result<i32> {
        let mut retry = Duration::from_millis(50);
        loop {
            let message = WaitRequest { container_id: self.container.clone(), exec_id: self.exec.clone() };
            let connection = &self.inner.connection;
            let request = connection.stream_request(message);
            match call("wait for exec", LONGEST, connection.tasks().wait(request)).await {
                Ok(response) => return Ok(super::exit_code(response.exit_status)),
                // The process outlives containerd; ask again when it is back.
                Err(Error::Unavailable { .. }) if retry < Duration::from_secs(30) => {
                    tokio::time::sleep(retry).await;
                    retry *= 2;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn signal(&self, signal: u32) -> Result<()> {
        let (container_id, exec_id) = (self.container.clone(), self.exec.clone());
        let message = KillRequest { container_id, exec_id, signal, all: false };
        let connection = &self.inner.connection;
        let request = connection.request(message, SHORT);
        call("kill exec", SHORT, connection.tasks().kill(request)).await.or_missing().map(drop)
    }

    async fn close_stdin(&self) {
        let (container_id, exec_id) = (self.container.clone(), self.exec.clone());
        let message = CloseIoRequest { container_id, exec_id, stdin: true };
        let connection = &self.inner.connection;
        let request = connection.request(message, SHORT);
        // A process that has ended already needs no end of input.
        if let Err(error) = call("close input", SHORT, connection.tasks().close_io(request)).await {
            tracing::debug!(exec = self.exec, %error, "the input of an exec could not be closed");
        }
    }

    async fn delete(&self) {
        let (container_id, exec_id) = (self.container.clone(), self.exec.clone());
        let connection = &self.inner.connection;
        let request = connection.request(DeleteProcessRequest { container_id, exec_id }, LONG);
        // It also goes away with its container.
        if let Err(error) =
            call("delete exec", LONG, connection.tasks().delete_process(request)).await.or_missing()
        {
            tracing::debug!(exec = self.exec, %error, "an exec could not be deleted");
        }
    }
}

#[async_trait]
impl ExecControl for Control {
    async fn resize(&self, size: TerminalSize) -> Result<()> {
        self.inner.resize(&self.container, &self.exec, size).await
    }

    async fn kill(&self, signal: i32) -> Result<()> {
        let signal = u32::try_from(signal).map_err(|_| Error::InvalidConfig {
            field: "signal",
            value: signal.to_string(),
            reason: "is not a signal's number".into(),
        })?;
        self.signal(signal).await
    }

    async fn wait(&self) -> Result<i32> {
        let mut ended = self.ended.clone();
        let result = ended.wait_for(Option::is_some).await.ok().and_then(|result| result.clone());
        result.unwrap_or_else(|| Err(Error::NotFound { kind: "exec", name: self.exec.clone() }))
    }
}
