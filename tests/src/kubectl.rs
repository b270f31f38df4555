//! kubectl, where this machine has one.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::{Output, TestCluster};

/// kubectl with the administrator's rights in a test's cluster.
#[derive(Debug)]
pub struct Kubectl<'a> {
    test: &'a TestCluster,
    program: PathBuf,
}

impl<'a> Kubectl<'a> {
    /// The kubectl of `GANTRY_KUBECTL`, else that of `PATH`; says so where there is none.
    pub fn program() -> Option<PathBuf> {
        if let Some(path) = std::env::var_os("GANTRY_KUBECTL") {
            return Some(path.into());
        }
        let path = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&path).map(|dir| dir.join("kubectl")).find(|file| file.is_file());
        if found.is_none() {
            println!("skipped: no kubectl in PATH, and GANTRY_KUBECTL is not set");
        }
        found
    }

    /// kubectl for a cluster.
    pub fn new(test: &'a TestCluster, program: &Path) -> Self {
        Self { test, program: program.to_owned() }
    }

    /// Runs a command line, whose words are divided by spaces.
    pub async fn run(&self, line: &str) -> Output {
        self.with(&words(line), "").await
    }

    /// Runs a command with these arguments and this on its standard input.
    pub async fn with(&self, args: &[&str], input: &str) -> Output {
        self.test.run(&self.program, args, input).await
    }

    /// What a command line prints that succeeds.
    pub async fn said(&self, line: &str) -> String {
        println!("kubectl {line}");
        self.run(line).await.success()
    }

    /// What a command with these arguments prints that succeeds.
    pub async fn said_of(&self, args: &[&str]) -> String {
        println!("kubectl {args:?}");
        self.with(args, "").await.success()
    }

    /// What a command line complains that fails.
    pub async fn refused(&self, line: &str) -> String {
        println!("kubectl {line}");
        self.run(line).await.failure()
    }

    /// What a command line prints that reads its object from standard input.
    pub async fn given(&self, line: &str, input: &str) -> String {
        println!("kubectl {line}");
        self.with(&words(line), input).await.success()
    }

    /// Runs a command line with something in its environment, as `NAME=VALUE`.
    pub async fn in_environment(&self, variable: &str, line: &str) -> Output {
        let program = self.program.to_string_lossy().into_owned();
        let mut args = vec![variable, &program];
        args.extend(words(line));
        self.test.run(Path::new("/usr/bin/env"), &args, "").await
    }

    /// Begins a command that goes on until it is dropped; its standard output and input are the caller's.
    pub fn begin(&self, args: &[&str]) -> Child {
        println!("kubectl {args:?}");
        Command::new(&self.program)
            .args(args)
            .env("KUBECONFIG", self.test.cluster().paths().kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()))
    }

    /// The program's path.
    pub fn path(&self) -> &Path {
        &self.program
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Fails unless `text` has all of these in it.
#[track_caller]
pub fn has(text: &str, wanted: &[&str]) {
    for part in wanted {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}
