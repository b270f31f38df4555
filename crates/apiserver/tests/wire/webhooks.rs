//! Webhooks that admit requests.

mod owners;

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::hook_server::{Webhook, allowed, patched};
use crate::http::{JSON_PATCH, MERGE};
use crate::server::{CONFIG_MAPS, DEPLOYMENTS, PODS, Server, config_map, deployment, pod};

const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// A webhook of a configuration that is asked about everything in the core group.
fn hook(config: &Value, more: &Value) -> Value {
    let mut hook = json!({
        "name": "hook.example.com",
        "clientConfig": config,
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    });
    for (key, value) in more.as_object().unwrap() {
        hook[key] = value.clone();
    }
    hook
}

fn rules(operations: &[&str], group: &str, resources: &[&str]) -> Value {
    let versions = json!(["*"]);
    json!([{"operations": operations, "apiGroups": [group], "apiVersions": versions, "resources": resources}])
}

async fn configure(server: &Server, path: &str, name: &str, hooks: &[Value]) {
    let kind =
        if path == MUTATING { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" };
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "webhooks": hooks,
    });
    server.post(path, &configuration).await.ok(201);
    // The server has seen it.
    server.get(path).await.ok(200);
}

fn message(status: &Value) -> &str {
    status["message"].as_str().unwrap()
}

#[tokio::test]
async fn a_webhook_sees_and_changes_what_is_created() {
    let server = Server::start().await;
    let webhook = Webhook::start(&server, |_, _| {
        let mut answer =
            patched(&json!([{"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}}]));
        answer["warnings"] = json!(["mind \"this\""]);
        answer
    })
    .await;
    configure(&server, MUTATING, "m", &[hook(&webhook.client_config("/mutate"), &json!({}))]).await;
    let mut sent = config_map("");
    sent["metadata"] = json!({"generateName": "made-"});
    let answer = server.post(&format!("{CONFIG_MAPS}?fieldManager=me"), &sent).await;
    assert_eq!(answer.warnings(), [r#"299 - "mind \"this\"""#]);
    let made = answer.ok(201);
    assert_eq!(made["metadata"]["labels"], json!({"by": "hook"}));
    assert!(made["metadata"]["uid"].is_string() && made["metadata"]["creationTimestamp"].is_string());
    assert!(made["metadata"]["name"].as_str().unwrap().starts_with("made-"));
    let [request] = &webhook.take()[..] else { panic!("one request") };
    assert!(request["uid"].is_string());
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    assert_eq!((&request["kind"], &request["requestKind"]), (&kind, &kind));
    assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "configmaps"}));
    assert_eq!((&request["operation"], &request["namespace"]), (&"CREATE".into(), &"default".into()));
    assert!(request.get("name").is_none() && request.get("subResource").is_none());
    assert_eq!(
        request["userInfo"],
        json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]})
    );
    assert_eq!((&request["dryRun"], &request["oldObject"]), (&false.into(), &Value::Null));
    let mut object = request["object"].clone();
    // What the client owns is known by then.
    let owners = object["metadata"].as_object_mut().unwrap().remove("managedFields").unwrap();
    assert_eq!((&owners[0]["manager"], owners.as_array().unwrap().len()), (&"me".into(), 1));
    assert_eq!(
        object,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"},
               "metadata": {"generateName": "made-", "namespace": "default"}})
    );
    assert_eq!(
        request["options"],
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions", "fieldManager": "me"})
    );
    // What comes of it is checked like all else.
    let webhook = Webhook::start(&server, |_, _| {
        patched(&json!([{"op": "add", "path": "/data/no~1key", "value": "x"}]))
    })
    .await;
    configure(&server, MUTATING, "n", &[hook(&webhook.client_config("/"), &json!({}))]).await;
    server.post(CONFIG_MAPS, &config_map("broken")).await.invalid(&[("data[no/key]", "FieldValueInvalid")]);
}

#[tokio::test]
async fn a_webhook_refuses_every_kind_of_write() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    server.post(CONFIG_MAPS, &config_map("b")).await.ok(201);
    let webhook = Webhook::start(&server, |_, request| match request["operation"].as_str() {
        Some("CREATE") => json!({"allowed": false}),
        Some("UPDATE") => {
            json!({"allowed": false, "status": {"message": "no", "reason": "Forbidden", "code": 403}})
        }
        _ => json!({"allowed": false, "status": {"message": "it stays", "code": 418}}),
    })
    .await;
    configure(&server, VALIDATING, "v", &[hook(&webhook.client_config("/"), &json!({}))]).await;
    let denied = "admission webhook \"hook.example.com\" denied the request";
    let status = server.post(CONFIG_MAPS, &config_map("c")).await.ok(400);
    assert_eq!((message(&status), &status["code"]), (&*format!("{denied} without explanation"), &400.into()));
    assert_eq!(webhook.take()[0]["name"], "c");
    let path = format!("{CONFIG_MAPS}/a");
    let status = server.patch(&path, MERGE, &json!({"data": {"k": "w"}})).await.fails(403, "Forbidden");
    assert_eq!(message(&status), format!("{denied}: no"));
    let [request] = &webhook.take()[..] else { panic!("one request") };
    assert_eq!(
        (&request["object"]["data"]["k"], &request["oldObject"]["data"]["k"]),
        (&"w".into(), &"v".into())
    );
    assert_eq!(request["options"]["kind"], "UpdateOptions");
    server.put(&path, &config_map("a")).await.fails(403, "Forbidden");
    assert_eq!(webhook.take()[0]["options"]["kind"], "UpdateOptions");
    let status = server.delete(&path).await.ok(418);
    assert_eq!(message(&status), format!("{denied}: it stays"));
    let [request] = &webhook.take()[..] else { panic!("one request") };
    assert_eq!((&request["object"], &request["oldObject"]["metadata"]["name"]), (&Value::Null, &"a".into()));
    assert_eq!(request["options"]["kind"], "DeleteOptions");
    // Each object of a collection is asked about.
    server.delete(CONFIG_MAPS).await.ok(418);
    let mut names: Vec<String> =
        webhook.take().iter().map(|request| request["name"].as_str().unwrap().to_owned()).collect();
    names.retain(|name| name == "a" || name == "b");
    names.sort();
    assert_eq!(names, ["a", "b"]);
    server.get(&path).await.ok(200);
}

#[tokio::test]
async fn subresources_are_asked_about_as_what_they_are() {
    let server = Server::start().await;
    server.post(PODS, &pod("p")).await.ok(201);
    server.post(DEPLOYMENTS, &deployment("d", 1)).await.ok(201);
    let webhook = Webhook::start(&server, |_, request| {
        if request["operation"] == "CONNECT" { json!({"allowed": false}) } else { allowed() }
    })
    .await;
    let about = rules(&["*"], "*", &["pods/*", "deployments/*", "serviceaccounts/*"]);
    configure(&server, VALIDATING, "v", &[hook(&webhook.client_config("/"), &json!({ "rules": about }))])
        .await;
    let asked = || {
        let [request] = &webhook.take()[..] else { panic!("one request") };
        let text = |path: &str| request.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
        (
            text("/operation"),
            text("/subResource"),
            text("/kind/kind"),
            text("/object/kind"),
            text("/oldObject/kind"),
        )
    };
    let told = |parts: [&str; 5]| {
        let [a, b, c, d, e] = parts.map(str::to_owned);
        (a, b, c, d, e)
    };
    let scale = format!("{DEPLOYMENTS}/d/scale");
    let scaled = server.patch(&scale, MERGE, &json!({"spec": {"replicas": 3}})).await.ok(200);
    assert_eq!(scaled["spec"]["replicas"], 3);
    assert_eq!(asked(), told(["UPDATE", "scale", "Scale", "Scale", "Scale"]));
    server.patch(&format!("{PODS}/p/status"), MERGE, &json!({"status": {"message": "m"}})).await.ok(200);
    assert_eq!(asked(), told(["UPDATE", "status", "Pod", "Pod", "Pod"]));
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"},
    });
    server.post(&format!("{PODS}/p/binding"), &binding).await.ok(201);
    assert_eq!(asked(), told(["CREATE", "binding", "Binding", "Binding", "-"]));
    let status = server.post(&format!("{PODS}/p/exec?command=ls&stdin=true"), &json!({})).await.ok(400);
    assert!(message(&status).ends_with("denied the request without explanation"), "{status}");
    let [request] = &webhook.take()[..] else { panic!("one request") };
    assert_eq!(
        request["object"],
        json!({"apiVersion": "v1", "kind": "PodExecOptions", "command": ["ls"], "stdin": true})
    );
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    server.post(&format!("{PODS}/p/eviction"), &eviction).await.ok(201);
    assert_eq!(asked(), told(["CREATE", "eviction", "Eviction", "Eviction", "-"]));
}

#[tokio::test]
async fn a_webhook_that_cannot_be_asked_stops_or_does_not() {
    let server = Server::start().await;
    let closed = json!({"url": "https://127.0.0.1:1/x", "caBundle": ""});
    let ignored = hook(&closed, &json!({"failurePolicy": "Ignore", "name": "ignored.example.com"}));
    configure(&server, VALIDATING, "a", std::slice::from_ref(&ignored)).await;
    configure(&server, MUTATING, "a", &[ignored]).await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    configure(&server, VALIDATING, "b", &[hook(&closed, &json!({}))]).await;
    let status = server.post(CONFIG_MAPS, &config_map("b")).await.fails(500, "InternalError");
    assert_eq!(
        message(&status),
        "Internal error occurred: failed calling webhook \"hook.example.com\": failed to call webhook: Post \
         \"https://127.0.0.1:1/x?timeout=10s\": dial tcp 127.0.0.1:1: connect: connection refused"
    );
    server.delete(&format!("{VALIDATING}/b")).await.ok(200);
    let service = json!({"service": {"namespace": "default", "name": "none"}});
    configure(&server, VALIDATING, "c", &[hook(&service, &json!({"timeoutSeconds": 5}))]).await;
    let status = server.post(CONFIG_MAPS, &config_map("c")).await.fails(500, "InternalError");
    assert_eq!(
        message(&status),
        "Internal error occurred: failed calling webhook \"hook.example.com\": failed to call webhook: Post \
         \"https://none.default.svc:443/?timeout=5s\": service \"none\" not found"
    );
    server.delete(&format!("{VALIDATING}/c")).await.ok(200);
    let nonsense = Webhook::start(&server, |_, _| json!({"allowed": true, "uid": "other"})).await;
    configure(&server, VALIDATING, "d", &[hook(&nonsense.client_config("/"), &json!({}))]).await;
    let status = server.post(CONFIG_MAPS, &config_map("d")).await.fails(500, "InternalError");
    assert!(
        message(&status).contains("received invalid webhook response: expected response.uid="),
        "{status}"
    );
    server.delete(&format!("{VALIDATING}/d")).await.ok(200);
    let silent = Webhook::start(&server, |_, _| Value::Null).await;
    let silent = hook(&silent.client_config("/"), &json!({"timeoutSeconds": 1}));
    configure(&server, VALIDATING, "e", &[silent]).await;
    let status = server.post(CONFIG_MAPS, &config_map("e")).await.fails(500, "InternalError");
    assert!(message(&status).ends_with("?timeout=1s\": context deadline exceeded"), "{status}");
}

#[tokio::test]
async fn a_dry_run_asks_only_who_has_no_side_effects() {
    let server = Server::start().await;
    let webhook = Webhook::start(&server, |_, _| allowed()).await;
    let config = webhook.client_config("/");
    // v1 knows no webhook with side effects in a dry run, save those that say so.
    let hooks =
        [hook(&config, &json!({"sideEffects": "NoneOnDryRun", "admissionReviewVersions": ["v1beta1"]}))];
    configure(&server, VALIDATING, "v", &hooks).await;
    server.post(&format!("{CONFIG_MAPS}?dryRun=All"), &config_map("a")).await.ok(201);
    let [request] = &webhook.take()[..] else { panic!("one request") };
    assert_eq!((&request["dryRun"], &request["options"]["dryRun"]), (&true.into(), &json!(["All"])));
    assert_eq!(request["apiVersionOfReview"], "admission.k8s.io/v1beta1");
    server.get(&format!("{CONFIG_MAPS}/a")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn selectors_and_conditions_say_what_is_asked_about() {
    let server = Server::start().await;
    let webhook = Webhook::start(&server, |_, _| allowed()).await;
    let at = |path: &str, more: Value| {
        let mut hook = hook(&webhook.client_config(path), &more);
        hook["name"] = format!("{}.example.com", path.trim_start_matches('/')).into();
        hook
    };
    let of = |expression: &str| json!({"matchConditions": [{"name": "c", "expression": expression}]});
    let hooks = [
        at(
            "/namespace",
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}),
        ),
        at("/other-namespace", json!({"namespaceSelector": {"matchLabels": {"watched": "yes"}}})),
        at("/object", json!({"objectSelector": {"matchLabels": {"app": "web"}}})),
        at("/other-object", json!({"objectSelector": {"matchLabels": {"app": "db"}}})),
        at("/condition", of("object.data.k == 'v' && request.userInfo.username == 'admin'")),
        at("/other-condition", of("has(object.data.none)")),
    ];
    configure(&server, VALIDATING, "v", &hooks).await;
    server
        .post(
            "/api/v1/namespaces",
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default2"}}),
        )
        .await
        .ok(201);
    let mut labelled = config_map("a");
    labelled["metadata"]["labels"] = json!({"app": "web"});
    server.post(CONFIG_MAPS, &labelled).await.ok(201);
    let mut paths = webhook.take_paths();
    paths.sort();
    assert_eq!(paths, ["/condition", "/namespace", "/object"]);
    // The old object counts as well.
    let unlabel = json!([{"op": "remove", "path": "/metadata/labels"}]);
    server.patch(&format!("{CONFIG_MAPS}/a"), JSON_PATCH, &unlabel).await.ok(200);
    assert!(webhook.take_paths().contains(&"/object".to_owned()));
    configure(&server, MUTATING, "m", &[at("/broken", of("object.none == 1"))]).await;
    let status = server.post(CONFIG_MAPS, &config_map("b")).await.fails(403, "Forbidden");
    assert_eq!(
        message(&status),
        "configmaps \"b\" is forbidden: expression 'object.none == 1' resulted in error: no such key: none"
    );
}

#[tokio::test]
async fn changes_are_made_in_order_and_again_where_they_want_that() {
    let server = Server::start().await;
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let webhook = Webhook::start(&server, |path, request| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        let data = &request["object"]["data"];
        let key = format!("/data/{}", path.trim_start_matches('/'));
        if data.get(path.trim_start_matches('/')).is_some() {
            return allowed();
        }
        let seen = data.as_object().unwrap().len().to_string();
        patched(&json!([{"op": "add", "path": key, "value": seen}]))
    })
    .await;
    let at = |path: &str, again: bool| {
        let policy = if again { "IfNeeded" } else { "Never" };
        hook(&webhook.client_config(path), &json!({"reinvocationPolicy": policy}))
    };
    configure(&server, MUTATING, "b", &[at("/third", true)]).await;
    configure(
        &server,
        MUTATING,
        "a",
        &[at("/first", true), {
            let mut second = at("/second", false);
            second["name"] = "second.example.com".into();
            second
        }],
    )
    .await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    assert_eq!(made["data"], json!({"k": "v", "first": "1", "second": "2", "third": "3"}));
    // The first wants to see what the second and the third did; nobody did anything after the third.
    assert_eq!(webhook.take_paths(), ["/first", "/second", "/third", "/first"]);
    assert_eq!(CALLS.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn other_versions_of_the_same_objects_are_asked_about() {
    let server = Server::start().await;
    let webhook = Webhook::start(&server, |_, _| {
        patched(&json!([{"op": "replace", "path": "/spec/maxReplicas", "value": 7}]))
    })
    .await;
    let rules = json!([{
        "operations": ["CREATE"], "apiGroups": ["autoscaling"], "apiVersions": ["v2"],
        "resources": ["horizontalpodautoscalers"],
    }]);
    let exact = hook(&webhook.client_config("/exact"), &json!({"rules": rules, "matchPolicy": "Exact"}));
    let equivalent =
        hook(&webhook.client_config("/equivalent"), &json!({"rules": rules, "name": "e.example.com"}));
    configure(&server, MUTATING, "m", &[exact, equivalent]).await;
    let scaler = json!({
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
        "spec": {
            "maxReplicas": 3, "targetCPUUtilizationPercentage": 50,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        },
    });
    let path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
    let made = server.post(path, &scaler).await.ok(201);
    assert_eq!((&made["apiVersion"], &made["spec"]["maxReplicas"]), (&"autoscaling/v1".into(), &7.into()));
    assert_eq!(made["spec"]["targetCPUUtilizationPercentage"], 50);
    let [request] = &webhook.take()[..] else { panic!("one request") };
    assert_eq!(
        (&request["kind"]["version"], &request["requestKind"]["version"]),
        (&"v2".into(), &"v1".into())
    );
    assert_eq!(request["object"]["apiVersion"], "autoscaling/v2");
    assert_eq!(request["object"]["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
}

#[tokio::test]
async fn configurations_can_always_be_repaired() {
    let server = Server::start().await;
    let closed = json!({"url": "https://127.0.0.1:1/x"});
    let everything = hook(&closed, &json!({"rules": rules(&["*"], "*", &["*/*"])}));
    configure(&server, VALIDATING, "v", std::slice::from_ref(&everything)).await;
    configure(&server, MUTATING, "m", &[everything]).await;
    server.post(CONFIG_MAPS, &config_map("a")).await.fails(500, "InternalError");
    server.delete(&format!("{VALIDATING}/v")).await.ok(200);
    server.delete(&format!("{MUTATING}/m")).await.ok(200);
    server.get(MUTATING).await.ok(200);
    server.get(VALIDATING).await.ok(200);
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
}
