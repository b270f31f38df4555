//! Watches of a kind: what a watch of nothing sends, in every form and with every parameter.

use serde_json::json;

use super::Served;
use super::build::{JSON, TOKEN, With as _, contains, status, step};
use crate::case::Step;
use crate::expect::Expect;
use crate::protobuf::PROTOBUF;

/// What makes a watch say at once that it has sent everything that there is.
const INITIAL: &str = "labelSelector=battery%3Dnothing&allowWatchBookmarks=true&sendInitialEvents=true\
                       &resourceVersionMatch=NotOlderThan";
/// All other parameters that go together with these.
const OTHERS: &str =
    "&fieldSelector=metadata.name!%3Dnone&limit=1&pretty=false&resourceVersion=0&timeoutSeconds=9";

pub(super) fn steps(served: &Served) -> Vec<Step> {
    let (collection, old) = (served.collection(), served.watched());
    let mut steps = listed(served, &collection);
    if served.namespaced {
        steps.extend(listed(served, &served.everywhere()));
        steps.extend(forced(served, &old.replace("/namespaces/${ns}", "")));
    }
    steps.extend(forced(served, &old));
    steps.extend(forced(served, &format!("{old}/battery-nothing")));
    // A watch ends when it is to.
    let query = "watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dbattery-nothing";
    let nothing = Expect { lines: Some(Vec::new()), ..status(200) };
    steps.push(step(format!("GET {collection}?{query}"), nothing));
    steps
}

/// The forms in which a watch is sent.
fn streams(served: &Served) -> &'static [&'static str] {
    const ALL: [&str; 4] =
        [JSON, "application/json;stream=watch", PROTOBUF, "application/vnd.kubernetes.protobuf;stream=watch"];
    if served.is_custom() { &ALL[..2] } else { &ALL }
}

/// The bookmark behind what there is: nothing.
fn bookmark(served: &Served) -> Expect {
    let object = json!({
        "kind": served.kind,
        "apiVersion": served.api_version(),
        "metadata": {"resourceVersion": "<rv>", "annotations": {"k8s.io/initial-events-end": "true"}},
    });
    Expect { lines: Some(vec![json!({"type": "BOOKMARK", "object": object})]), ..status(200) }
}

/// Watches that are asked for by a parameter.
fn listed(served: &Served, path: &str) -> Vec<Step> {
    let get = |more: &str| step(format!("GET {path}?watch=true&{INITIAL}{more}"), bookmark(served)).taking(1);
    let mut steps = vec![get(OTHERS)];
    steps.extend(streams(served).iter().skip(1).step_by(2).map(|form| get("").accepting(form)));
    steps.push(unacceptable(&format!("{path}?watch=true")));
    steps
}

/// Watches that are asked for by the path.
fn forced(served: &Served, path: &str) -> Vec<Step> {
    let get = |query: &str| step(format!("GET {path}?{query}"), bookmark(served)).taking(1);
    let mut steps = vec![get(&format!("{INITIAL}{OTHERS}&watch=true"))];
    steps.extend(streams(served).iter().map(|form| get(INITIAL).accepting(form)));
    steps.push(unacceptable(path));
    let refused = json!({"details": {"causes": [{
        "field": "resourceVersionMatch",
        "message": "Forbidden: resourceVersionMatch is forbidden when continue is provided",
    }]}});
    steps.push(step(format!("GET {path}?{INITIAL}&continue={TOKEN}"), contains(422, refused)));
    let query = format!("continue={TOKEN}&timeoutSeconds=1&fieldSelector=metadata.name%3Dbattery-nothing");
    steps.push(step(format!("GET {path}?{query}"), Expect { lines: Some(Vec::new()), ..status(200) }));
    steps
}

/// No watch is YAML.
fn unacceptable(path: &str) -> Step {
    let message = "only the following media types are accepted: application/json;stream=watch, \
                   application/vnd.kubernetes.protobuf;stream=watch";
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "NotAcceptable",
        "code": 406,
    });
    step(format!("GET {path}"), Expect { body: Some(body), ..status(406) }).accepting("application/yaml")
}
