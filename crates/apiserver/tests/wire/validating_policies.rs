//! ValidatingAdmissionPolicies and their bindings.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::{CONFIG_MAPS, DEPLOYMENTS, Server, config_map, deployment};

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

/// A policy about ConfigMaps, with more in its spec.
fn policy(name: &str, more: &Value) -> Value {
    let mut spec = json!({"matchConstraints": {"resourceRules": [
        {"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]},
    ]}});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name}, "spec": spec,
    })
}

fn binding(name: &str, policy: &str, actions: &[&str], more: &Value) -> Value {
    let mut spec = json!({"policyName": policy, "validationActions": actions});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": spec,
    })
}

async fn enact(server: &Server, policy: &Value, bindings: &[Value]) {
    server.post(POLICIES, policy).await.ok(201);
    for binding in bindings {
        server.post(BINDINGS, binding).await.ok(201);
    }
    // The server has seen them.
    server.get(POLICIES).await.ok(200);
    server.get(BINDINGS).await.ok(200);
}

fn data(name: &str, value: &str) -> Value {
    let mut map = config_map(name);
    map["data"] = json!({ "k": value });
    map
}

#[tokio::test]
async fn a_policy_denies_what_it_is_bound_to() {
    let server = Server::start().await;
    let rules = json!({
        "variables": [{"name": "value", "expression": "object.data.k"}],
        "validations": [
            {"expression": "variables.value != 'bad'"},
            {"expression": "variables.value != 'worse'", "message": "not that", "reason": "Forbidden"},
            {"expression": "oldObject == null || variables.value.startsWith(oldObject.data.k)",
             "messageExpression": "'it was ' + oldObject.data.k"},
        ],
    });
    server.post(POLICIES, &policy("p", &rules)).await.ok(201);
    server.get(POLICIES).await.ok(200);
    // Nothing binds it.
    server.post(CONFIG_MAPS, &data("unbound", "bad")).await.ok(201);
    server.post(BINDINGS, &binding("b", "p", &["Deny"], &json!({}))).await.ok(201);
    server.get(BINDINGS).await.ok(200);
    let status = server.post(CONFIG_MAPS, &data("a", "bad")).await.fails(422, "Invalid");
    let denied = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request";
    let text = format!("{denied}: failed expression: variables.value != 'bad'");
    assert_eq!(status["message"], format!("configmaps \"a\" is forbidden: {text}"));
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps", "causes": [{"message": text}]}));
    let status = server.post(CONFIG_MAPS, &data("a", "worse")).await.fails(403, "Forbidden");
    assert_eq!(status["message"], format!("configmaps \"a\" is forbidden: {denied}: not that"));
    server.post(CONFIG_MAPS, &data("a", "good")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    server.patch(&path, MERGE, &json!({"data": {"k": "goodness"}})).await.ok(200);
    let status = server.patch(&path, MERGE, &json!({"data": {"k": "x"}})).await.fails(422, "Invalid");
    assert_eq!(status["message"], format!("configmaps \"a\" is forbidden: {denied}: it was goodness"));
    // It says nothing of deletions.
    server.delete(&path).await.ok(200);
    server.delete(&format!("{BINDINGS}/b")).await.ok(200);
    server.get(BINDINGS).await.ok(200);
    server.post(CONFIG_MAPS, &data("a", "bad")).await.ok(201);
}

#[tokio::test]
async fn a_binding_may_only_warn() {
    let server = Server::start().await;
    let rules = json!({"validations": [{"expression": "false", "message": "never"}]});
    let warn = binding("w", "p", &["Warn", "Audit"], &json!({}));
    enact(&server, &policy("p", &rules), &[warn]).await;
    let answer = server.post(CONFIG_MAPS, &config_map("a")).await;
    answer.ok(201);
    assert_eq!(
        answer.warnings(),
        [r#"299 - "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'w': never""#]
    );
}

#[tokio::test]
async fn bindings_give_parameters() {
    let server = Server::start().await;
    let rules = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"resourceRules": [
            {"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["*"], "resources": ["deployments"]},
            {"operations": ["UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale"]},
        ]},
        "validations": [{
            "expression": "object.spec.replicas <= int(params.data.max)",
            "messageExpression": "'at most ' + params.data.max + ' in ' + namespaceObject.metadata.name",
        }],
    });
    let of = |name: &str, action: &str| {
        let reference = json!({"name": name, "namespace": "default", "parameterNotFoundAction": action});
        json!({ "paramRef": reference })
    };
    let limit = |max: &str| {
        let mut map = config_map("limit");
        map["data"] = json!({ "max": max });
        map
    };
    server.post(CONFIG_MAPS, &limit("3")).await.ok(201);
    let bound = binding("b", "p", &["Deny"], &of("limit", "Deny"));
    enact(&server, &policy("p", &rules), &[bound]).await;
    server.post(DEPLOYMENTS, &deployment("a", 3)).await.ok(201);
    let denied = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request";
    let status = server.post(DEPLOYMENTS, &deployment("b", 4)).await.fails(422, "Invalid");
    let subject = "deployments.apps \"b\" is forbidden";
    assert_eq!(status["message"], format!("{subject}: {denied}: at most 3 in default"));
    let scale = format!("{DEPLOYMENTS}/a/scale");
    server.patch(&scale, MERGE, &json!({"spec": {"replicas": 9}})).await.fails(422, "Invalid");
    server.delete(&format!("{CONFIG_MAPS}/limit")).await.ok(200);
    server.get(CONFIG_MAPS).await.ok(200);
    let status = server.post(DEPLOYMENTS, &deployment("b", 1)).await.fails(422, "Invalid");
    let missing =
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    assert_eq!(status["message"], format!("{subject}: {denied}: {missing}"));
    let allow = json!({"spec": of("limit", "Allow")});
    server.patch(&format!("{BINDINGS}/b"), MERGE, &allow).await.ok(200);
    server.get(BINDINGS).await.ok(200);
    server.post(DEPLOYMENTS, &deployment("b", 9)).await.ok(201);
}

#[tokio::test]
async fn what_cannot_be_evaluated_fails_or_does_not() {
    let server = Server::start().await;
    let rules = |failure: &str| {
        let validations = json!([{"expression": "object.data.none == 'a'"}]);
        let conditions = json!([{"name": "named", "expression": "request.name.startsWith('x')"}]);
        json!({"failurePolicy": failure, "validations": validations, "matchConditions": conditions})
    };
    enact(&server, &policy("p", &rules("Fail")), &[binding("b", "p", &["Deny"], &json!({}))]).await;
    server.post(CONFIG_MAPS, &config_map("other")).await.ok(201);
    let status = server.post(CONFIG_MAPS, &config_map("x1")).await.fails(422, "Invalid");
    assert_eq!(
        status["message"],
        "configmaps \"x1\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: \
         expression 'object.data.none == 'a'' resulted in error: no such key: none"
    );
    let ignore = json!({"spec": {"failurePolicy": "Ignore"}});
    server.patch(&format!("{POLICIES}/p"), MERGE, &ignore).await.ok(200);
    server.get(POLICIES).await.ok(200);
    server.post(CONFIG_MAPS, &config_map("x1")).await.ok(201);
}

#[tokio::test]
async fn a_binding_narrows_what_a_policy_is_about() {
    let server = Server::start().await;
    let rules = json!({"validations": [{"expression": "false"}]});
    let named = json!({"matchResources": {"resourceRules": [{
        "operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "resourceNames": ["only"],
    }]}});
    let labelled = json!({"matchResources": {"objectSelector": {"matchLabels": {"app": "web"}}}});
    let bindings = [binding("a", "p", &["Deny"], &named), binding("b", "p", &["Deny"], &labelled)];
    enact(&server, &policy("p", &rules), &bindings).await;
    server.post(CONFIG_MAPS, &config_map("free")).await.ok(201);
    server.post(CONFIG_MAPS, &config_map("only")).await.fails_with(422, "Invalid", "with binding 'a'");
    let mut web = config_map("free2");
    web["metadata"]["labels"] = json!({"app": "web"});
    server.post(CONFIG_MAPS, &web).await.fails_with(422, "Invalid", "with binding 'b'");
}

#[tokio::test]
async fn expressions_are_compiled_when_they_are_made_and_ask_what_somebody_may() {
    let server = Server::start().await;
    let broken =
        policy("p", &json!({"validations": [{"expression": "params.a == 1"}, {"expression": "1 +"}]}));
    let refused = server.post(POLICIES, &broken).await;
    let refused = refused.invalid(&[
        ("spec.validations[0].expression", "FieldValueInvalid"),
        ("spec.validations[1].expression", "FieldValueInvalid"),
    ]);
    let first = "Invalid value: \"params.a == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to \
                 'params' (in container '')\n | params.a == 1\n | ^";
    assert_eq!(refused["details"]["causes"][0]["message"], first);
    let may = "authorizer.requestResource.check('delete').allowed() && \
               !authorizer.serviceAccount('default', 'nobody').path('/metrics').check('get').allowed()";
    let only =
        policy("p", &json!({"validations": [{"expression": may}, {"expression": format!("!({may})")}]}));
    enact(&server, &only, &[binding("b", "p", &["Deny"], &json!({}))]).await;
    let status = server.post(CONFIG_MAPS, &config_map("a")).await.fails(422, "Invalid");
    let text = status["message"].as_str().unwrap();
    assert!(text.contains("failed expression: !(authorizer"), "{text}");
}
