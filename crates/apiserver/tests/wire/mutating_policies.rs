//! MutatingAdmissionPolicies and their bindings.

use serde_json::{Value, json};

use crate::hook_server::{Webhook, patched};
use crate::http::MERGE;
use crate::server::{CONFIG_MAPS, DEPLOYMENTS, Server, config_map, deployment};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

fn configuration(expression: &str) -> Value {
    json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}})
}

fn patch(expression: &str) -> Value {
    json!({"patchType": "JSONPatch", "jsonPatch": {"expression": expression}})
}

/// A policy about one resource, with more in its spec, and a binding of it.
async fn enact(server: &Server, name: &str, (group, resource): (&str, &str), more: Value) {
    let mut spec = json!({
        "matchConstraints": {"resourceRules": [
            {"operations": ["CREATE", "UPDATE"], "apiGroups": [group], "apiVersions": ["v1"], "resources": [resource]},
        ]},
        "reinvocationPolicy": "Never",
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
                        "metadata": {"name": name}, "spec": spec});
    let policies = format!("{GROUP}/mutatingadmissionpolicies");
    server.post(&policies, &policy).await.ok(201);
    let bindings = format!("{GROUP}/mutatingadmissionpolicybindings");
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
                         "metadata": {"name": format!("{name}-everywhere")}, "spec": {"policyName": name}});
    server.post(&bindings, &binding).await.ok(201);
    // The server has seen them.
    server.get(&policies).await.ok(200);
    server.get(&bindings).await.ok(200);
}

#[tokio::test]
async fn policies_change_objects_in_their_order() {
    let server = Server::start().await;
    let sidecar = "Object{metadata: Object.metadata{labels: {'seen': 'by-policy'}}, spec: Object.spec{replicas: \
                   variables.wanted, template: Object.spec.template{spec: Object.spec.template.spec{containers: \
                   [Object.spec.template.spec.containers{name: 'sidecar', image: 'side'}]}}}}";
    enact(
        &server,
        "a-sidecar",
        ("apps", "deployments"),
        json!({
            "variables": [{"name": "wanted", "expression": "object.spec.replicas + 1"}],
            "matchConditions": [{"name": "new", "expression": "request.operation == 'CREATE'"}],
            "mutations": [configuration(sidecar)],
        }),
    )
    .await;
    let annotate = "[JSONPatch{op: 'test', path: '/metadata/labels/seen', value: 'by-policy'}, \
                    JSONPatch{op: 'add', path: '/metadata/annotations', value: {'example.com/a': 'b'}}, \
                    JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('example.com/c'), \
                    value: string(object.spec.replicas)}]";
    enact(&server, "b-annotation", ("apps", "deployments"), json!({"mutations": [patch(annotate)]})).await;
    let made = server.post(DEPLOYMENTS, &deployment("d", 2)).await.ok(201);
    assert_eq!(made["spec"]["replicas"], 3);
    assert_eq!(made["metadata"]["labels"]["seen"], "by-policy");
    let containers = made["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.last().unwrap()["name"], "sidecar");
    assert!(containers.len() > 1);
    assert_eq!(containers.last().unwrap()["imagePullPolicy"], "Always");
    let annotations = &made["metadata"]["annotations"];
    assert_eq!(annotations, &json!({"example.com/a": "b", "example.com/c": "3"}));
    // Nobody owns what they add.
    let owners = made["metadata"]["managedFields"].as_array().unwrap();
    assert!(!owners.iter().any(|owner| owner["fieldsV1"].to_string().contains("example.com")), "{owners:?}");
    let scaled =
        server.patch(&format!("{DEPLOYMENTS}/d"), MERGE, &json!({"spec": {"replicas": 1}})).await.ok(200);
    assert_eq!(scaled["spec"]["replicas"], 1);
    assert_eq!(scaled["metadata"]["annotations"]["example.com/c"], "1");
}

#[tokio::test]
async fn a_policy_that_fails_refuses_unless_it_says_otherwise() {
    let server = Server::start().await;
    let maps = ("", "configmaps");
    enact(
        &server,
        "p",
        maps,
        json!({"mutations": [patch("[JSONPatch{op: 'add', path: '/data/x', value: object.data.must}]")]}),
    )
    .await;
    let refused = server.post(CONFIG_MAPS, &config_map("a")).await.fails(403, "Invalid");
    let text = "policy 'p' with binding 'p-everywhere' denied request: expression '[JSONPatch{op: 'add', path: \
                '/data/x', value: object.data.must}]' resulted in error: no such key: ";
    let message = refused["message"].as_str().unwrap();
    assert!(message.starts_with(text), "{message}");
    assert_eq!(refused["details"]["causes"][0]["message"], message);
    let mut fine = config_map("a");
    fine["data"] = json!({"must": "v"});
    assert_eq!(server.post(CONFIG_MAPS, &fine).await.ok(201)["data"], json!({"must": "v", "x": "v"}));

    let whole = "Object{spec: Object.spec{strategy: Object.spec.wrong{type: 'Recreate'}}}";
    let deployments = ("apps", "deployments");
    enact(&server, "q", deployments, json!({"mutations": [configuration(whole)]})).await;
    let refused = server.post(DEPLOYMENTS, &deployment("d", 1)).await.fails(403, "Invalid");
    let text = "policy 'q' with binding 'q-everywhere' denied request: type mismatch: unexpected type name \
                \"Object.spec.wrong\", expected \"Object.spec.strategy\", which matches field name path from root Object \
                type";
    assert_eq!(refused["message"], text);
    server.delete(&format!("{GROUP}/mutatingadmissionpolicies/q")).await.ok(200);
    server.get(&format!("{GROUP}/mutatingadmissionpolicies")).await.ok(200);
    let lenient = json!({"failurePolicy": "Ignore", "mutations": [configuration("Object{spec: Object.spec{none: 1}}")]});
    enact(&server, "r", deployments, lenient).await;
    server.post(DEPLOYMENTS, &deployment("d", 1)).await.ok(201);
}

#[tokio::test]
async fn a_policy_sees_what_webhooks_do_where_it_wants_to() {
    let server = Server::start().await;
    let copy = "has(object.data) && 'hook' in object.data && !('copied' in object.data) ? \
                [JSONPatch{op: 'add', path: '/data/copied', value: object.data.hook}] : []";
    let maps = ("", "configmaps");
    enact(&server, "again", maps, json!({"mutations": [patch(copy)], "reinvocationPolicy": "IfNeeded"}))
        .await;
    enact(&server, "once", maps, json!({"mutations": [patch(&copy.replace("copied", "missed"))]})).await;
    let hook = Webhook::start(&server, |_, request| {
        let has = request["object"]["data"].get("hook").is_some();
        let operations =
            if has { json!([]) } else { json!([{"op": "add", "path": "/data/hook", "value": "h"}]) };
        patched(&operations)
    })
    .await;
    let hooks = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "h"},
        "webhooks": [{
            "name": "h.example.com", "clientConfig": hook.client_config("/"), "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
        }],
    });
    let path = format!("{GROUP}/mutatingwebhookconfigurations");
    server.post(&path, &hooks).await.ok(201);
    server.get(&path).await.ok(200);
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    assert_eq!(made["data"], json!({"k": "v", "hook": "h", "copied": "h"}));
}
