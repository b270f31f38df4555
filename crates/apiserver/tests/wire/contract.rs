//! The OpenAPI documents are checked in, so that a change of the API shows in a review.
//!
//! All of them together have megabytes and say most things several times. So two groups' documents are there as a whole,
//! and of each document a list of its paths and schemas with a digest of what is said of each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::server::Server;

/// The documents that are there as a whole.
const WHOLE: [&str; 2] = ["apis/coordination.k8s.io/v1", "apis/discovery.k8s.io/v1"];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi")
}

fn digest(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string());
    digest.iter().take(8).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A line for each path and each schema.
fn outline(document: &Value) -> String {
    let mut text = String::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let item = item.as_object().unwrap();
        let methods: Vec<&str> = item.keys().map(String::as_str).filter(|key| *key != "parameters").collect();
        writeln!(text, "{} {path} {}", digest(&Value::Object(item.clone())), methods.join(",")).unwrap();
    }
    let schemas = [&document["components"]["schemas"], &document["definitions"]];
    for (name, schema) in schemas.into_iter().filter_map(Value::as_object).flatten() {
        writeln!(text, "{} {name}", digest(schema)).unwrap();
    }
    text
}

/// Compares with what is checked in, or writes it.
fn check(name: &str, now: &str, stale: &mut Vec<String>) {
    let path = directory().join(name);
    if std::env::var_os("GANTRY_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, now).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written != now {
        let differs = written.lines().zip(now.lines()).find(|(written, now)| written != now);
        stale.push(format!("{name}: {differs:?}"));
    }
}

#[tokio::test]
async fn the_documents_are_those_that_are_checked_in() {
    let server = Server::start().await;
    let mut stale = Vec::new();
    check("v2.txt", &outline(&server.get("/openapi/v2").await.ok(200)), &mut stale);
    let index = server.get("/openapi/v3").await.ok(200);
    for path in index["paths"].as_object().unwrap().keys() {
        let mut document = server.get(&format!("/openapi/v3/{path}")).await.ok(200);
        // It is another one with each release.
        document["info"]["version"] = "unversioned".into();
        let name = path.replace('/', "__");
        check(&format!("v3/{name}.txt"), &outline(&document), &mut stale);
        if WHOLE.contains(&path.as_str()) {
            let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
            check(&format!("v3/{name}.json"), &text, &mut stale);
        }
    }
    assert!(stale.is_empty(), "docs/reference/openapi is out of date, `make docs`: {stale:#?}");
}
