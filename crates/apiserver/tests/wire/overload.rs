//! More requests than there are seats: who waits, who is sent away, and who is not concerned.

use std::time::Duration;

use http::Method;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use crate::http::{Answer, Client, JSON, PATIENCE};
use crate::server::{CONFIG_MAPS, Server, config_map};

const GROUP: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";
const DUMP: &str = "/debug/api_priority_and_fairness";
/// The shares of a level that has three seats beside those that every cluster has.
const SHARES: i64 = 1;

/// Waits until something is so.
pub(crate) async fn eventually(is_so: impl AsyncFn() -> bool) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it becomes so");
}

/// A level of three seats that jane, who may do everything, has for herself.
async fn with_level(response: Value) -> (Server, Client) {
    let server = Server::start().await;
    let binding = json!({
        "metadata": {"name": "jane"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
    });
    server.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.ok(201);
    let limited =
        json!({"nominalConcurrencyShares": SHARES, "borrowingLimitPercent": 0, "limitResponse": response});
    let level = json!({"metadata": {"name": "tiny"}, "spec": {"type": "Limited", "limited": limited}});
    server.post(&format!("{GROUP}/prioritylevelconfigurations"), &level).await.ok(201);
    let all = json!(["*"]);
    let schema = json!({
        "metadata": {"name": "jane"},
        "spec": {
            "priorityLevelConfiguration": {"name": "tiny"},
            "matchingPrecedence": 3,
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": "jane"}}],
                "resourceRules": [{
                    "verbs": all, "apiGroups": all, "resources": all, "namespaces": all, "clusterScope": true,
                }],
            }],
        },
    });
    let made = server.post(&format!("{GROUP}/flowschemas"), &schema).await.ok(201);
    let jane = server.client("jane", &[]);
    eventually(async || uid(&jane.get(CONFIG_MAPS).await, "flowschema") == made["metadata"]["uid"]).await;
    (server, jane)
}

fn uid(answer: &Answer, what: &str) -> Value {
    let name = format!("x-kubernetes-pf-{what}-uid");
    answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).into()
}

/// Requests that hold their seats until they are aborted.
fn hold(client: &Client, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let one = |client: Client| async move {
        client.call(Method::POST, CONFIG_MAPS).endless(JSON).send().await;
    };
    (0..count).map(|_| tokio::spawn(one(client.clone()))).collect()
}

/// A level's line in a table.
async fn line(server: &Server, table: &str, name: &str) -> Vec<String> {
    let answer = server.get(&format!("{DUMP}/{table}")).await;
    assert_eq!(answer.status, 200);
    let line = answer.text().lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    line.split(',').map(|cell| cell.trim().to_owned()).collect()
}

async fn executing(server: &Server) -> String {
    line(server, "dump_priority_levels", "tiny").await[5].clone()
}

#[tokio::test]
async fn answers_name_schema_and_level() {
    let server = Server::start().await;
    let of = async |kind: &str, name: &str| {
        server.get(&format!("{GROUP}/{kind}/{name}")).await.ok(200)["metadata"]["uid"].clone()
    };
    let jane = server.client("jane", &[]);
    let refused = jane.get(CONFIG_MAPS).await;
    assert_eq!(refused.status, 403);
    assert_eq!(uid(&refused, "flowschema"), of("flowschemas", "global-default").await);
    assert_eq!(uid(&refused, "prioritylevel"), of("prioritylevelconfigurations", "global-default").await);
    let node = server.client("system:node:n", &["system:nodes"]);
    let lease = node.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n").await;
    assert_eq!(uid(&lease, "flowschema"), of("flowschemas", "system-node-high").await);
    assert_eq!(uid(&server.get("/version").await, "flowschema"), of("flowschemas", "exempt").await);
    assert_eq!(
        uid(&server.anonymous().get("/readyz").await, "flowschema"),
        of("flowschemas", "probes").await
    );
    let metrics = server.get("/metrics").await;
    for series in [
        "apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"exempt\",priority_level=\"exempt\"}",
        "apiserver_flowcontrol_nominal_limit_seats{priority_level=\"workload-low\"}",
        "apiserver_flowcontrol_request_wait_duration_seconds_count{",
    ] {
        assert!(metrics.text().contains(series), "{series}: {}", metrics.text());
    }
}

#[tokio::test]
async fn a_level_without_queues_sends_away() {
    let (server, jane) = with_level(json!({"type": "Reject"})).await;
    let held = hold(&jane, 3);
    eventually(async || executing(&server).await == "3").await;
    let refused = jane.get(CONFIG_MAPS).await;
    assert_eq!((refused.status, refused.text()), (429, "Too many requests, please try again later.\n"));
    assert_eq!(refused.headers[RETRY_AFTER], "1");
    assert_eq!(refused.content_type(), "text/plain; charset=utf-8");
    assert!(uid(&refused, "prioritylevel").is_string());
    // Watches and others go by their own.
    assert_eq!(server.client("joe", &[]).get(CONFIG_MAPS).await.status, 403);
    server.get(CONFIG_MAPS).await.ok(200);
    assert!(server.get("/metrics").await.text().contains("reason=\"concurrency-limit\"} "));
    // Who goes away leaves its seat.
    held.iter().for_each(tokio::task::JoinHandle::abort);
    eventually(async || executing(&server).await == "0").await;
    jane.get(CONFIG_MAPS).await.ok(200);
}

#[tokio::test]
async fn a_watch_holds_no_seat_once_it_has_begun() {
    let (server, jane) = with_level(json!({"type": "Reject"})).await;
    let mut watches = Vec::new();
    for _ in 0..5 {
        watches.push(jane.watch(&format!("{CONFIG_MAPS}?watch=true"), JSON).await);
    }
    assert_eq!(executing(&server).await, "0");
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    for watch in &mut watches {
        assert_eq!(watch.named().await, ("ADDED".to_owned(), "a".to_owned()));
    }
    // To begin, it needs one.
    let held = hold(&jane, 3);
    eventually(async || executing(&server).await == "3").await;
    assert_eq!(jane.get(&format!("{CONFIG_MAPS}?watch=true")).await.status, 429);
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_level_with_queues_lets_wait() {
    let queuing = json!({"queues": 1, "handSize": 1, "queueLengthLimit": 1});
    let (server, jane) = with_level(json!({"type": "Queue", "queuing": queuing})).await;
    let held = hold(&jane, 3);
    eventually(async || executing(&server).await == "3").await;
    let waiting = tokio::spawn({
        let jane = jane.clone();
        async move { jane.get(CONFIG_MAPS).await }
    });
    eventually(async || line(&server, "dump_priority_levels", "tiny").await[4] == "1").await;
    let queue = line(&server, "dump_queues", "tiny").await;
    assert_eq!(queue[1..5], ["0", "1", "3", "3"]);
    let request = line(&server, "dump_requests?includeRequestDetails=1", "tiny").await;
    assert_eq!(request[1..5], ["jane", "0", "0", ""]);
    assert_eq!(request[10..], ["jane", "list", CONFIG_MAPS, "default", "", "v1", "configmaps", ""]);
    let full = jane.get(CONFIG_MAPS).await;
    assert_eq!(full.status, 429);
    held.iter().for_each(tokio::task::JoinHandle::abort);
    waiting.await.unwrap().ok(200);
}

#[tokio::test]
async fn the_tables_are_the_administrators() {
    let server = Server::start().await;
    let text = server.get(&format!("{DUMP}/dump_priority_levels")).await;
    assert!(
        text.text().starts_with("PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, "),
        "{}",
        text.text()
    );
    server.anonymous().get(&format!("{DUMP}/dump_queues")).await.fails(403, "Forbidden");
    assert_eq!(server.get(&format!("{DUMP}/nothing")).await.status, 404);
}

#[tokio::test]
async fn without_fairness_numbers_count() {
    let flags = [
        "--enable-priority-and-fairness=false",
        "--max-mutating-requests-inflight=1",
        "--max-requests-inflight=1",
    ];
    let server = Server::start_with(&flags).await;
    let binding = json!({
        "metadata": {"name": "jane"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
    });
    server.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.ok(201);
    let jane = server.client("jane", &[]);
    let held = hold(&jane, 1);
    eventually(async || jane.delete(&format!("{CONFIG_MAPS}/none")).await.status == 429).await;
    let refused = jane.post(CONFIG_MAPS, &config_map("a")).await;
    assert_eq!((refused.status, &refused.headers[RETRY_AFTER]), (429, &"1".parse().unwrap()));
    assert_eq!(uid(&refused, "flowschema"), Value::Null);
    // Reads are counted by themselves, and who may do everything is let in.
    jane.get(CONFIG_MAPS).await.ok(200);
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_request_has_its_time() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}?timeout=100ms");
    let late = server.call(Method::POST, &path).endless(JSON).send().await;
    let status = late.fails(504, "Timeout");
    assert_eq!(status["message"], "Timeout: request did not complete within the allotted timeout");
    let wrong = server.get(&format!("{CONFIG_MAPS}?timeout=soon")).await;
    let text = "invalid timeout specified in the request URL - time: invalid duration \"soon\"";
    wrong.fails_with(400, "BadRequest", text);
}

#[tokio::test]
async fn the_server_says_how_long_requests_may_take() {
    let server = Server::start_with(&["--request-timeout=2s"]).await;
    let path = format!("{CONFIG_MAPS}?timeout=1h");
    server.call(Method::POST, &path).endless(JSON).send().await.fails(504, "Timeout");
    // A watch has none.
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=true"), JSON).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    assert_eq!(watch.named().await, ("ADDED".to_owned(), "a".to_owned()));
}
