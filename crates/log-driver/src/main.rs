//! The log driver of one container, started by containerd's shim with the output's pipes as descriptors 3 and 4 and,
//! as 5, a pipe that it closes when it is ready.

use std::process::ExitCode;

use gantry_log_driver::driver::{self, Options};
use nix::sys::signal::{SigSet, Signal};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantry-log-driver: {error}");
            // EX_USAGE: apart from its arguments and descriptors there is nothing that could be wrong.
            ExitCode::from(64)
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let [stdout, stderr, ready] = [3, 4, 5].map(gantry_sys::inherited::take);
    // What stops the machine's processes must not cut off a container's last words: the end is the pipes' end.
    SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]).thread_block()?;
    let options = Options::parse(std::env::args().skip(1))?;
    driver::run(options, stdout?, stderr?, ready?)?;
    Ok(())
}
