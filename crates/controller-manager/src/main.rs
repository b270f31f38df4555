//! `gantry-controller-manager`.

use gantry_controller_manager::Options;
use gantry_telemetry::config;

fn main() -> anyhow::Result<()> {
    let options = match Options::load(std::env::args_os()) {
        // Help, the version and wrong flags have their own exit codes.
        Err(config::Error::Flags(error)) => error.exit(),
        options => options?,
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(gantry_controller_manager::run(options))
}
