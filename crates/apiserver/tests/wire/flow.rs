//! Flow schemas and priority levels: what each kind makes of a request.

use serde_json::json;

use crate::http::MERGE;
use crate::server::Server;

const GROUP: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

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
    let table = server.get_as(&path, TABLE).await.ok(200);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..4], [json!("s"), json!("p"), json!(7), json!("<none>")]);
    assert_eq!(cells[5], "?");
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
    let table = server.get_as(&path, TABLE).await.ok(200);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..6], [json!("l"), json!("Limited"), json!(30), json!(64), json!(8), json!(50)]);
}
