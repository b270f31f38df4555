//! Flow schemas and priority levels: what each kind makes of a request.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::overload::eventually;
use crate::server::Server;

const GROUP: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// The cells of an object's row.
async fn row(server: &Server, path: &str, name: &str) -> Vec<Value> {
    let table = server.get_as(path, TABLE).await.ok(200);
    let rows = table["rows"].as_array().unwrap().clone();
    let found = rows.iter().find(|row| row["cells"][0] == name).unwrap_or_else(|| panic!("{name}: {table}"));
    found["cells"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_cluster_has_levels_and_schemas() {
    let server = Server::start().await;
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let levels = server.get(&format!("{GROUP}/prioritylevelconfigurations")).await.ok(200);
    let expected = [
        "catch-all",
        "exempt",
        "global-default",
        "leader-election",
        "node-high",
        "system",
        "workload-high",
        "workload-low",
    ];
    assert_eq!(names(&levels), expected);
    assert_eq!(
        levels["items"][1]["spec"],
        json!({
            "type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0},
        })
    );
    let schemas = server.get(&format!("{GROUP}/flowschemas")).await.ok(200);
    assert_eq!(names(&schemas).len(), 13);
    for item in levels["items"].as_array().unwrap().iter().chain(schemas["items"].as_array().unwrap()) {
        assert_eq!(item["metadata"]["annotations"]["apf.kubernetes.io/autoupdate-spec"], "true", "{item}");
    }
    let exempt = format!("{GROUP}/flowschemas/exempt");
    eventually(async || !server.get(&exempt).await.ok(200)["status"]["conditions"].is_null()).await;
    let condition = server.get(&exempt).await.ok(200)["status"]["conditions"][0].clone();
    assert_eq!(
        (&condition["status"], &condition["reason"], &condition["message"]),
        (
            &json!("False"),
            &json!("Found"),
            &json!(
                "This FlowSchema references the PriorityLevelConfiguration object named \"exempt\" and it exists"
            ),
        )
    );
}

#[tokio::test]
async fn a_schema_puts_requests_somewhere() {
    let server = Server::start().await;
    let path = format!("{GROUP}/flowschemas");
    let one = format!("{path}/s");
    let schema = json!({
        "metadata": {"name": "s"},
        "spec": {
            "priorityLevelConfiguration": {"name": "p"},
            "rules": [{
                "subjects": [{"kind": "Group", "group": {"name": "dev"}}],
                "resourceRules": [
                    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["a"]},
                ],
            }],
        },
    });
    let made = server.post(&path, &schema).await.ok(201);
    assert_eq!((&made["spec"]["matchingPrecedence"], &made["status"]), (&json!(1000), &json!({})));
    assert_eq!(made["metadata"]["generation"], 1);
    let change = json!({"spec": {"matchingPrecedence": 7}});
    assert_eq!(server.patch(&one, MERGE, &change).await.ok(200)["metadata"]["generation"], 2);
    // There is no such level.
    eventually(async || server.get(&one).await.ok(200)["status"]["conditions"][0]["status"] == "True").await;
    let condition = server.get(&one).await.ok(200)["status"]["conditions"][0].clone();
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("Dangling"), &json!("NotFound")));
    let cells = row(&server, &path, "s").await;
    assert_eq!(cells[..4], [json!("s"), json!("p"), json!(7), json!("<none>")]);
    assert_eq!(cells[5], "True");
    let first = json!({"spec": {"matchingPrecedence": 1}});
    server.patch(&one, MERGE, &first).await.invalid(&[("spec.matchingPrecedence", "FieldValueInvalid")]);
    let twice = json!({"status": {"conditions": [{"type": "a"}, {"type": "a"}]}});
    let answer = server.patch(&format!("{one}/status"), MERGE, &twice).await;
    answer.invalid(&[("status.conditions[1].type", "FieldValueDuplicate")]);
}

#[tokio::test]
async fn only_one_level_is_exempt() {
    let server = Server::start().await;
    let path = format!("{GROUP}/prioritylevelconfigurations");
    let mut level = json!({"metadata": {"name": "l"}, "spec": {"type": "Exempt"}});
    server.post(&path, &level).await.invalid(&[("spec.type", "FieldValueInvalid")]);
    level["spec"] =
        json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}});
    let made = server.post(&path, &level).await.ok(201);
    assert_eq!(made["spec"]["limited"]["nominalConcurrencyShares"], 30);
    let queuing = json!({"queues": 64, "handSize": 8, "queueLengthLimit": 50});
    assert_eq!(made["spec"]["limited"]["limitResponse"]["queuing"], queuing);
    let cells = row(&server, &path, "l").await;
    assert_eq!(cells[..6], [json!("l"), json!("Limited"), json!(30), json!(64), json!(8), json!(50)]);
}
