//! What is read of a kind, whether or not there is any object.

use serde_json::json;

use super::Served;
use super::build::{JSON, METADATA_LIST, TABLE, TOKEN, With as _, contains, forms, missing, status, step};
use crate::case::Step;
use crate::expect::Expect;
use crate::protobuf::PROTOBUF;

const NOTHING: &str = "labelSelector=battery%3Dnothing";
const NAME: &str = "battery-nothing";

pub(super) fn steps(served: &Served) -> Vec<Step> {
    let one = format!("{}/{NAME}", served.collection());
    let mut steps = lists(served, &served.collection());
    if served.namespaced {
        steps.extend(lists(served, &served.everywhere()));
    }
    steps.push(step(format!("GET {one}"), missing(served, NAME)));
    steps.push(
        step(format!("GET {one}"), missing(served, NAME))
            .accepting("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
    );
    if !served.is_custom() {
        steps.push(step(format!("GET {one}"), missing(served, NAME)).accepting(PROTOBUF));
    }
    if served.may("delete") {
        steps.push(step(format!("DELETE {one}"), missing(served, NAME)));
    }
    steps.push(step(format!("PATCH {}", served.everywhere()), status(405)));
    steps
}

/// Every form and every parameter of a list.
fn lists(served: &Served, path: &str) -> Vec<Step> {
    let list = json!({
        "kind": format!("{}List", served.kind),
        "apiVersion": served.api_version(),
        "metadata": {"resourceVersion": "~[0-9]+"},
        "items": [],
    });
    let get = |query: &str, expect: Expect| step(format!("GET {path}?{NOTHING}{query}"), expect);
    let table =
        json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": "<any>", "rows": []});
    let partial = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "items": []});
    let all = "&fieldSelector=metadata.name!%3Dnone&limit=1&pretty=false&resourceVersion=0\
               &resourceVersionMatch=NotOlderThan&timeoutSeconds=10&watch=false&allowWatchBookmarks=false";
    let mut steps = vec![
        get(all, contains(200, list.clone())),
        get(&format!("&limit=1&continue={TOKEN}"), contains(200, list.clone())),
        get(
            "&pretty=true",
            Expect { text: Some("~\\{\n  \"kind\": .*\n\\}\n?".to_owned()), ..contains(200, list.clone()) },
        ),
        get("", contains(200, table)).accepting(TABLE),
        get("", contains(200, partial.clone())).accepting(&format!("{JSON};{METADATA_LIST}")),
        // Metadata has protobuf whatever the kind.
        get("", contains(200, partial)).accepting(&format!("{PROTOBUF};{METADATA_LIST}")),
    ];
    for form in forms(served) {
        steps.push(get("", contains(200, list.clone())).accepting(form));
    }
    steps
}
