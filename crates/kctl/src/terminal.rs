//! The terminal that a command of a container is attached to.

use std::io;

use gantry_api::grpc::node::TerminalSize;
use nix::sys::termios::{self, SetArg, Termios};

/// The terminal in raw mode: keys go to the command, not to the shell's line editing. Dropping it restores the old mode.
#[derive(Debug)]
pub(crate) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Switches standard input to raw mode.
    pub(crate) fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Err(error) = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before) {
            eprintln!("the terminal's mode was not restored: {error}; `reset` does it");
        }
    }
}

/// The size of the terminal; `None` where there is none.
pub(crate) fn size() -> Option<TerminalSize> {
    let (width, height) = terminal_size::terminal_size()?;
    Some(TerminalSize { width: width.0.into(), height: height.0.into() })
}
