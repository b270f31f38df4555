//! Builds an image from files into an OCI image layout.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use gantry_image_builder::{Entry, Image, Layout};

/// Build a container image FROM scratch and store it in an OCI image layout.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Directory of the layout
    #[arg(long, value_name = "DIR")]
    layout: PathBuf,

    /// Name of the image
    #[arg(long, value_name = "NAME:TAG")]
    image: String,

    /// An executable file of this machine and its place in the image
    #[arg(long = "file", value_name = "FILE=PATH")]
    files: Vec<String>,

    /// A symbolic link in the image
    #[arg(long = "link", value_name = "TARGET=PATH")]
    links: Vec<String>,

    /// A directory in the image that everyone may write to
    #[arg(long = "dir", value_name = "PATH")]
    dirs: Vec<String>,

    /// The program and its first arguments, one flag each
    #[arg(long, value_name = "ARG")]
    entrypoint: Vec<String>,

    /// Arguments that a container may replace, one flag each
    #[arg(long = "cmd", value_name = "ARG")]
    command: Vec<String>,

    /// An environment variable
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// The user as which it runs
    #[arg(long, default_value = "", value_name = "UID[:GID]")]
    user: String,
}

fn main() -> ExitCode {
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags) -> Result<()> {
    let mut entries = Vec::new();
    for dir in &flags.dirs {
        entries.push(Entry::directory(dir, 0o1777));
    }
    for pair in &flags.files {
        let (source, path) = split("--file", pair)?;
        let content = std::fs::read(source).with_context(|| format!("--file {source}"))?;
        entries.push(Entry::executable(path, content));
    }
    for pair in &flags.links {
        let (target, path) = split("--link", pair)?;
        entries.push(Entry::link(path, target));
    }
    let image = Image {
        entries,
        entrypoint: flags.entrypoint,
        command: flags.command,
        env: flags.env,
        user: flags.user,
        working_dir: String::new(),
    };
    let built = image.build()?;
    Layout::create(&flags.layout)?.add(&flags.image, &built)?;
    println!("{} {}", flags.image, built.manifest.descriptor.digest);
    Ok(())
}

fn split<'a>(flag: &str, pair: &'a str) -> Result<(&'a str, &'a str)> {
    match pair.split_once('=') {
        Some((left, right)) if !left.is_empty() && right.starts_with('/') => Ok((left, right)),
        _ => bail!("{flag} {pair:?} must be LEFT=/PATH/IN/THE/IMAGE"),
    }
}
