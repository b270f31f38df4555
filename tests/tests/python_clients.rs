//! Programs in Python do the same through REST, with the `kubernetes` package, and through gRPC, with what protoc
//! generates from the schema.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use gantry_tests::TestCluster;

const WANTED: &str = "\
created settings {'greeting': 'hello'}
again: 409 AlreadyExists
patched {'greeting': 'bye'}
from an old revision: 409 Conflict
updated {'greeting': 'bye', 'more': 'yes'}
wrong: 422 Invalid at spec.replicas
running 2
scaled from 2
log listening on port 8080
listed 1
gone: 404 NotFound
";

/// The files below a folder that end so, as paths relative to it.
fn files(root: &Path, folder: &Path, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap());
    let mut found = Vec::new();
    for entry in entries {
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(root, &path, ending));
        } else if path.extension() == Some(OsStr::new(ending)) {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn python_does_the_same_through_rest_and_grpc() {
    let Some(python) = std::env::var_os("GANTRY_PYTHON").map(PathBuf::from) else {
        println!(
            "skipped: GANTRY_PYTHON does not name a Python with tests/python/requirements.txt installed"
        );
        return;
    };
    let test = TestCluster::start(1).await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generated = tempfile::tempdir().unwrap();
    let out = generated.path().to_str().unwrap();
    let protos = here.join("../proto");
    let sources = files(&protos, Path::new(""), "proto");
    let include = format!("-I{}", protos.display());
    let (python_out, grpc_out) = (format!("--python_out={out}"), format!("--grpc_python_out={out}"));
    let mut arguments = vec!["-m", "grpc_tools.protoc", &include, &python_out, &grpc_out];
    arguments.extend(sources.iter().map(String::as_str));
    test.run(&python, &arguments, "").await.success();

    let program = here.join("python/program.py");
    let kubeconfig = test.cluster().paths().kubeconfig();
    let image = test.image("web:v1");
    for how in ["rest", "grpc"] {
        let arguments = [program.to_str().unwrap(), how, kubeconfig.to_str().unwrap(), &image, out];
        let said = test.run(&python, &arguments, "").await.success();
        println!("{how}: {said}");
        let (version, rest) = said.split_once('\n').unwrap();
        assert!(version.starts_with("version v1."), "{version}");
        assert_eq!(rest, WANTED, "{how}");
    }
    test.down_purged().await;
}
