//! The command line of Gantry.

use std::process::ExitCode;

fn main() -> ExitCode {
    kctl::main()
}
