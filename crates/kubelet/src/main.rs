//! The node agent: runs the pods that are bound to its node.

use std::process::ExitCode;

use clap::Parser;
use gantry_client::{Client, Config};
use gantry_kubelet::kubelet::Kubelet;
use gantry_kubelet::options::{Flags, Options};
use gantry_telemetry::{health, notify, shutdown};

/// EX_CONFIG of sysexits.
const BAD_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let flags = Flags::parse();
    // What a pod needs is mostly waiting: two workers serve a hundred pods, and memory stays small.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(flags)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantry-kubelet: {error:#}");
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    flags.common.init("gantry-kubelet")?;
    let options = Options::new(&flags)?;
    let config = Config::from_kubeconfig(&flags.kubeconfig)?.user_agent("gantry-kubelet");
    let servers = config.servers.clone();
    let client = Client::new(config)?;
    let stop = shutdown();
    let checks = health::Checks::new();
    flags.common.serve_health("127.0.0.1:10248", checks.clone(), stop.clone()).await?;
    let kubelet = Kubelet::build(options, client, &servers).await?;
    notify::ready();
    notify::watchdog(stop.clone());
    kubelet.run(&checks, stop).await?;
    notify::stopping();
    Ok(())
}
