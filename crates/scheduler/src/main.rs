//! The scheduler: assigns pods to nodes.

use gantry_client::{Client, Config, LeaderElector, Recorder, leader};
use gantry_scheduler::metrics::Metrics;
use gantry_scheduler::options::Options;
use gantry_scheduler::service::Service;
use gantry_telemetry::{config, notify, shutdown};

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let options = match Options::load(std::env::args_os()) {
        // Help, the version and wrong flags have their own exit codes.
        Err(config::Error::Flags(error)) => error.exit(),
        options => options?,
    };
    options.common.init("gantry-scheduler")?;
    let stop = shutdown();
    let client = Client::new(Config::from_kubeconfig(&options.kubeconfig)?.user_agent("gantry-scheduler"))?;
    let recorder = Recorder::new(client.clone(), &options.scheduler_name);
    let service = Service::new(client.clone(), &options.scheduler_name, recorder, Metrics::register()?);
    options.common.serve_health("127.0.0.1:10259", service.checks(), stop.clone()).await?;
    notify::ready();
    if options.leader_elect {
        let settings = leader::Settings::new("kube-scheduler");
        LeaderElector::new(&client, settings).run(stop, |stop| service.run(stop)).await?;
    } else {
        service.run(stop).await;
    }
    notify::stopping();
    Ok(())
}
