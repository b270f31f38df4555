//! Loading a ruleset with the `nft` program.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::Error;

/// Loads a script in one transaction: all of it takes effect, or none.
pub(crate) fn load(script: &str) -> Result<(), Error> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::system("run nft"))?;
    let mut input = child.stdin.take().ok_or_else(|| Error::Nft("no standard input".to_owned()))?;
    input.write_all(script.as_bytes()).map_err(Error::system("write to nft"))?;
    drop(input);
    let output = child.wait_with_output().map_err(Error::system("wait for nft"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Nft(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
