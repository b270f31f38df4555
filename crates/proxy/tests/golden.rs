//! From API objects to nftables, case by case.
//!
//! Each directory in `tests/golden` is a case; its YAML files, in order, are the states that the API goes through,
//! and beside each stands the transaction that leads to it from the state before. Run with `UPDATE_GOLDEN=1` to
//! write the transactions anew, and read the difference before committing it.
#![expect(clippy::unwrap_used, reason = "a panic in a helper is the test's report")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gantry_api::{core::v1::Service, discovery::v1::EndpointSlice, yaml};
use gantry_proxy::{
    change::diff,
    convert,
    model::{Cluster, Snapshot},
    plan::desired,
    ruleset::Ruleset,
    script,
};

const NODE: &str = "node-1";

#[test]
fn transactions_are_as_written() {
    let mut cases = sorted(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    cases.retain(|path| path.is_dir());
    assert!(!cases.is_empty());
    for case in cases {
        let mut before = Ruleset { pod_range: cluster().pod_range, ..Ruleset::default() };
        for step in
            sorted(case).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        {
            let after = desired(&read(&step), &cluster());
            let changes = diff(&before, &after);
            compare(&step.with_extension("nft"), &script::update(&changes, after.pod_range));
            assert!(diff(&after, &after).is_empty());
            before = after;
        }
    }
}

#[test]
fn the_skeleton_is_as_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/skeleton.nft");
    compare(&path, &script::replace(&Ruleset::default()));
}

/// What is written is not only as it was: nftables takes it, step by step, in a namespace of its own.
#[test]
fn transactions_load() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for case in sorted(golden.clone()).into_iter().filter(|path| path.is_dir()) {
        let steps =
            sorted(case).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "nft"));
        let output = Command::new("unshare")
            .args(["--net", "sh", "-ec", "for step; do nft -f \"$step\"; done", "sh"])
            .arg(golden.join("skeleton.nft"))
            .args(steps)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn cluster() -> Cluster {
    Cluster { pod_range: Some("10.244.0.0/16".parse().unwrap()) }
}

fn sorted(directory: PathBuf) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Snapshot {
    let (mut services, mut slices): (Vec<Service>, Vec<EndpointSlice>) = Default::default();
    let text = fs::read_to_string(path).unwrap();
    for document in yaml::documents(&text, &yaml::Limits::default()).unwrap() {
        let value: serde_json::Value = serde_json::from_slice(&document).unwrap();
        match value["kind"].as_str() {
            Some("Service") => services.push(serde_json::from_value(value).unwrap()),
            Some("EndpointSlice") => slices.push(serde_json::from_value(value).unwrap()),
            other => panic!("{}: unexpected kind {other:?}", path.display()),
        }
    }
    convert::snapshot(NODE, &services, &slices)
}

fn compare(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(expected == text, "{}: expected\n{expected}\nfound\n{text}", path.display());
}
