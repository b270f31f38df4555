//! `kctl logs`

use std::io::Write;
use std::process::ExitCode;

use clap::Args as ClapArgs;
use gantry_api::core::v1::PodLogOptions;
use gantry_api::grpc::node::{ContainerRef, LogsRequest};
use gantry_api::scalars::Time;

use super::pods;
use crate::session::Target;

/// Shows a container's output.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// POD, or TYPE/NAME of what runs pods
    #[arg(value_name = "POD")]
    pod: String,

    /// Container, where the pod has several
    #[arg(value_name = "CONTAINER")]
    container: Option<String>,

    /// Container, where the pod has several
    #[arg(short = 'c', long = "container", value_name = "NAME", conflicts_with = "container")]
    container_flag: Option<String>,

    /// Go on as the container writes
    #[arg(short, long)]
    follow: bool,

    /// The output of the container before its last restart
    #[arg(short, long)]
    previous: bool,

    /// Begin each line with its time
    #[arg(long)]
    timestamps: bool,

    /// Only this many lines from the end
    #[arg(long, value_name = "LINES")]
    tail: Option<i64>,

    /// Only what is younger, such as `10s` or `5m`
    #[arg(long, value_name = "DURATION", conflicts_with = "since_time")]
    since: Option<gantry_api::scalars::Duration>,

    /// Only what is younger than this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since_time: Option<jiff::Timestamp>,

    /// At most this many bytes
    #[arg(long, value_name = "BYTES")]
    limit_bytes: Option<i64>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let pod = pods::of(&session, &args.pod).await?;
        let container = args.container.or(args.container_flag).unwrap_or_default();
        let options = PodLogOptions {
            container: container.clone(),
            follow: args.follow,
            previous: args.previous,
            timestamps: args.timestamps,
            tail_lines: args.tail.filter(|lines| *lines >= 0),
            since_seconds: args.since.map(|since| since.duration / 1_000_000_000),
            since_time: args.since_time.map(Time::from),
            limit_bytes: args.limit_bytes,
            ..PodLogOptions::default()
        };
        let container =
            ContainerRef { namespace: session.namespace.clone(), pod, container, pod_uid: String::new() };
        let request = LogsRequest { container: Some(container), options: Some(options) };
        let mut stream = session.client.node().logs(request).await?;
        let mut out = std::io::stdout();
        while let Some(piece) = stream.next().await {
            let written = out.write_all(&piece?.data).and_then(|()| out.flush());
            if written.is_err() {
                // The reader has gone.
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
