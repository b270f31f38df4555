//! `kctl exec`

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args as ClapArgs;
use gantry_api::grpc::node::exec_request::Message as Input;
use gantry_api::grpc::node::exec_response::Message as Output;
use gantry_api::grpc::node::{ContainerRef, ExecRequest, ExecStart};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::pods;
use crate::session::Target;
use crate::terminal::{self, RawMode};

/// How many messages of input wait for the server.
const QUEUE: usize = 16;
/// How much input goes into one message.
const CHUNK: usize = 16 * 1024;

/// Runs a command in a container.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// POD, or TYPE/NAME of what runs pods
    #[arg(value_name = "POD")]
    pod: String,

    /// Container, where the pod has several
    #[arg(short, long, default_value = "", hide_default_value = true)]
    container: String,

    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,

    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,

    /// The command, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let pod = pods::of(&session, &args.pod).await?;
        let terminal = std::io::stdin().is_terminal();
        if args.tty && !terminal {
            eprintln!("Unable to use a TTY - input is not a terminal");
        }
        let tty = args.tty && terminal && args.stdin;
        let (input, messages) = mpsc::channel(QUEUE);
        let container = ContainerRef {
            namespace: session.namespace.clone(),
            pod,
            container: args.container,
            pod_uid: String::new(),
        };
        let start = ExecStart {
            container: Some(container),
            command: args.command,
            stdin: args.stdin,
            stdout: true,
            stderr: !tty,
            tty,
        };
        input.send(request(Input::Start(start))).await.context("the command was not sent")?;
        let mut output = session.client.node().exec(ReceiverStream::new(messages)).await?;
        let _raw = tty.then(RawMode::enter).transpose().context("the terminal cannot be set up")?;
        if tty {
            tokio::spawn(follow_size(input.clone()));
        }
        if args.stdin {
            // A read from a terminal cannot be cancelled, so it gets a thread of its own, which ends with the process.
            std::thread::spawn(move || forward_stdin(&input));
        }
        let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
        while let Some(message) = output.next().await {
            match message?.message {
                Some(Output::Stdout(bytes)) => stdout.write_all(&bytes).and_then(|()| stdout.flush())?,
                Some(Output::Stderr(bytes)) => stderr.write_all(&bytes)?,
                Some(Output::ExitCode(code)) => {
                    return Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from));
                }
                None => {}
            }
        }
        bail!("the connection ended before the command did");
    })
}

fn request(message: Input) -> ExecRequest {
    ExecRequest { message: Some(message) }
}

fn forward_stdin(input: &mpsc::Sender<ExecRequest>) {
    let mut stdin = std::io::stdin().lock();
    let mut buffer = vec![0; CHUNK];
    loop {
        let message = match stdin.read(&mut buffer) {
            Ok(0) | Err(_) => Input::CloseStdin(true),
            Ok(count) => Input::Stdin(buffer[..count].to_vec().into()),
        };
        let last = matches!(message, Input::CloseStdin(_));
        if input.blocking_send(request(message)).is_err() || last {
            return;
        }
    }
}

async fn follow_size(input: mpsc::Sender<ExecRequest>) {
    let Ok(mut changes) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change())
    else {
        return;
    };
    loop {
        if let Some(size) = terminal::size()
            && input.send(request(Input::Resize(size))).await.is_err()
        {
            return;
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}
