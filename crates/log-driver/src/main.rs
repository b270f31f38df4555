//! Container output: the log driver process, the CRI log format, rotation and reading.

fn main() {}
