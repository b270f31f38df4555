//! Every kind of the registry, by construction: a life over REST of the object in `kinds/GROUP_VERSION_KIND.yaml`
//! (`core` for the core group). Where the kind has a status, a second document is a merge patch of it.

use std::path::{Path, PathBuf};

use gantry_api::{Kind, Subresource, registry, yaml};
use http::Method;
use http::header::ACCEPT;
use serde_json::{Value, json};

use crate::http::{Answer, JSON, MERGE, PATIENCE};
use crate::server::Server;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/kinds")
}

fn file_name(kind: &Kind) -> String {
    let group = if kind.group.is_empty() { "core" } else { kind.group };
    format!("{group}_{}_{}.yaml", kind.version, kind.kind)
}

/// The object of a kind, and the patch of its status.
fn example(kind: &Kind) -> (Value, Option<Value>) {
    let name = file_name(kind);
    let text = std::fs::read_to_string(directory().join(&name)).unwrap_or_else(|error| {
        panic!("{} {} needs a minimal object in kinds/{name}: {error}", kind.api_version(), kind.kind)
    });
    let documents = yaml::documents(&text, &yaml::Limits::default()).unwrap();
    let mut documents = documents.iter().map(|json| serde_json::from_slice::<Value>(json).unwrap());
    let object = documents.next().unwrap_or_else(|| panic!("kinds/{name} is empty"));
    let status = documents.next();
    let wants_status = kind.has(Subresource::Status);
    assert_eq!(status.is_some(), wants_status, "kinds/{name}: a second document where there is a status");
    (object, status)
}

fn collection(kind: &Kind) -> String {
    let root = if kind.group.is_empty() { "/api" } else { "/apis" };
    let group = if kind.group.is_empty() { String::new() } else { format!("/{}", kind.group) };
    let namespace = if kind.namespaced() { "/namespaces/default" } else { "" };
    format!("{root}{group}/{}{namespace}/{}", kind.version, kind.plural)
}

/// The JSON of an answer that must be a success.
fn done(what: &str, answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// Whether everything in `part` is in `whole`, too.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(field, value)| whole.get(field).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        _ => whole == part,
    }
}

/// Everything but the metadata and the status.
fn spec(object: &Value) -> Value {
    let mut spec = object.clone();
    spec.as_object_mut().unwrap().retain(|field, _| field != "metadata" && field != "status");
    spec
}

/// The object once the server has said what it says by itself: of a definition, that it is established; of a schema of
/// flows, whether its level is there; of a service of the API, whether it can be asked.
async fn settled(server: &Server, path: &str, made: Value) -> Value {
    let judged = ["CustomResourceDefinition", "FlowSchema", "APIService"];
    if !judged.iter().any(|kind| made["kind"] == *kind) {
        return made;
    }
    let established = async {
        loop {
            let found = done(path, &server.get(path).await, 200);
            if found["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty()) {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, established).await.expect("conditions")
}

async fn lives(server: &Server, kind: &'static Kind) {
    let (object, status) = example(kind);
    let name = object["metadata"]["name"].as_str().unwrap();
    let (collection, what) = (collection(kind), format!("{} {}", kind.api_version(), kind.kind));
    let path = format!("{collection}/{name}");
    assert_eq!((&object["apiVersion"], &object["kind"]), (&json!(kind.api_version()), &json!(kind.kind)));

    let strict = format!("{collection}?fieldValidation=Strict");
    let made = done(&what, &server.post(&strict, &object).await, 201);
    assert_eq!((&made["apiVersion"], &made["kind"]), (&object["apiVersion"], &object["kind"]));
    assert!(made["metadata"]["uid"].is_string(), "{what}: {made}");
    let made = settled(server, &path, made).await;
    assert_eq!(done(&what, &server.get(&path).await, 200), made, "{what}");
    server.post(&collection, &object).await.fails(409, "AlreadyExists");

    let list = done(&what, &server.get(&collection).await, 200);
    assert_eq!(list["kind"], format!("{}List", kind.kind));
    let items = list["items"].as_array().unwrap();
    assert!(items.iter().any(|item| item["metadata"]["name"] == name), "{what}: {list}");

    let table = done(&what, &server.get_as(&collection, TABLE).await, 200);
    let columns = table["columnDefinitions"].as_array().unwrap();
    assert_eq!(columns.len(), kind.columns.len(), "{what}");
    for row in table["rows"].as_array().unwrap() {
        assert_eq!(row["cells"].as_array().unwrap().len(), columns.len(), "{what}: {row}");
    }

    // What the server wrote may be written back, with a label more; the generation does not count labels.
    let mut labelled = made.clone();
    labelled["metadata"]["labels"]["test"] = json!("kinds");
    let updated = done(&what, &server.put(&path, &labelled).await, 200);
    assert_eq!(updated["metadata"]["labels"]["test"], "kinds", "{what}");
    assert_eq!(spec(&updated), spec(&made), "{what}");
    assert_eq!(updated["metadata"]["generation"], made["metadata"]["generation"], "{what}");

    let under_status = format!("{path}/status");
    match status {
        Some(patch) => {
            let after = done(&what, &server.patch(&under_status, MERGE, &patch).await, 200);
            assert!(contains(&after["status"], &patch["status"]), "{what}: {after}");
            assert_eq!(spec(&after), spec(&updated), "{what}");
            assert_eq!(done(&what, &server.get(&under_status).await, 200), after, "{what}");
            // An update of the object leaves the status alone.
            let mut without = after.clone();
            without.as_object_mut().unwrap().remove("status");
            let again = done(&what, &server.put(&path, &without).await, 200);
            assert_eq!(again["status"], after["status"], "{what}");
        }
        None => {
            server.get(&under_status).await.fails(404, "NotFound");
        }
    }

    let answer = server.call(Method::DELETE, &path).header(ACCEPT, JSON).send().await;
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    let left = server.get(&path).await;
    // What has finalizers goes when they are done.
    if left.status != 404 {
        let left = done(&what, &left, 200);
        assert!(left["metadata"]["deletionTimestamp"].is_string(), "{what}: {left}");
    }
}

#[tokio::test]
async fn every_kind_lives() {
    let server = Server::start().await;
    for kind in registry::all() {
        lives(&server, kind).await;
    }
}

#[test]
fn every_example_has_a_kind() {
    let known: Vec<String> = registry::all().iter().map(|kind| file_name(kind)).collect();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "kinds/{name} is of no kind that is served");
    }
}
