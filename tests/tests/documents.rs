//! The reference of flags says what the programs say.
//!
//! `make docs` writes it anew.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every component; kctl has flags for each command, and the log driver is started by containerd alone.
const COMPONENTS: [&str; 6] = [
    "gantry-apiserver",
    "gantry-scheduler",
    "gantry-controller-manager",
    "gantry-kubelet",
    "gantry-proxy",
    "gantry-dns",
];

fn help(program: &str, command: &[&str]) -> String {
    let mut asked = Command::new(gantry_tests::bin_dir().join(program));
    // The help shows what the variable holds.
    asked.args(command).arg("--help").env_remove("RUST_LOG");
    let output = asked.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {command:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The names of kctl's commands, from its help.
fn commands(help: &str) -> Vec<&str> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap_or_default();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").collect()
}

fn reference() -> String {
    let mut text = String::from(
        "# Flags\n\nWhat each program says of itself with `--help`. This page is made from that by `make docs`.\n",
    );
    let mut section = |title: &str, help: &str| {
        write!(text, "\n## {title}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    };
    for program in COMPONENTS {
        section(program, &help(program, &[]));
    }
    let kctl = help("kctl", &[]);
    section("kctl", &kctl);
    for command in commands(&kctl) {
        section(&format!("kctl {command}"), &help("kctl", &[command]));
    }
    text
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/flags.md")
}

#[test]
fn the_reference_of_flags_is_what_the_programs_say() {
    let now = reference();
    assert!(now.contains("## kctl rollout"), "{now}");
    if std::env::var_os("GANTRY_WRITE_DOCS").is_some() {
        std::fs::write(path(), &now).unwrap();
        return;
    }
    let written = std::fs::read_to_string(path()).unwrap();
    let differs = written.lines().zip(now.lines()).find(|(written, now)| written != now);
    assert_eq!(differs, None, "docs/reference/flags.md is out of date: make docs");
    assert_eq!(
        written.lines().count(),
        now.lines().count(),
        "docs/reference/flags.md is out of date: make docs"
    );
}
