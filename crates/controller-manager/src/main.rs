//! `gantry-controller-manager`.

use clap::Parser;
use gantry_controller_manager::Options;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(gantry_controller_manager::run(options))
}
