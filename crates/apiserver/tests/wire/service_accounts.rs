//! The service accounts of pods: found, mounted, limited.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{PODS, Server, pod};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

async fn start() -> Server {
    Server::start_with(&["--enable-admission-plugins=ServiceAccount"]).await
}

async fn account(server: &Server, name: &str, more: Value) {
    let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    for (key, value) in more.as_object().unwrap() {
        account[key] = value.clone();
    }
    server.post(ACCOUNTS, &account).await.ok(201);
}

#[tokio::test]
async fn a_pod_gets_its_accounts_token() {
    let server = start().await;
    account(&server, "default", json!({"imagePullSecrets": [{"name": "pull"}]})).await;
    let made = server.post(PODS, &pod("a")).await.ok(201);
    let spec = &made["spec"];
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("default"), &json!("default"))
    );
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "pull"}]));
    let volume = &spec["volumes"][0];
    let name = volume["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    assert_eq!(
        volume["projected"],
        json!({"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
            {"downwardAPI": {"items": [
                {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}
            ]}}
        ]})
    );
    assert_eq!(
        spec["containers"][0]["volumeMounts"],
        json!([{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": name, "readOnly": true}])
    );

    let mut without = pod("without");
    without["spec"]["automountServiceAccountToken"] = json!(false);
    let made = server.post(PODS, &without).await.ok(201);
    assert_eq!(made["spec"]["volumes"], json!(null));
    account(&server, "quiet", json!({"automountServiceAccountToken": false})).await;
    let mut quiet = pod("quiet");
    quiet["spec"]["serviceAccount"] = json!("quiet");
    let made = server.post(PODS, &quiet).await.ok(201);
    assert_eq!(
        (&made["spec"]["serviceAccountName"], &made["spec"]["volumes"]),
        (&json!("quiet"), &json!(null))
    );
}

#[tokio::test]
async fn an_account_must_be_there() {
    let server = start().await;
    let mut lost = pod("lost");
    lost["spec"]["serviceAccountName"] = json!("nobody");
    let status = server.post(PODS, &lost).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        r#"pods "lost" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found"#
    );
    assert_eq!(status["details"], json!({"name": "lost", "kind": "pods"}));

    // The account of a new namespace may come a moment later than its first pod.
    let early = pod("early");
    let (made, ()) = tokio::join!(server.post(PODS, &early), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        account(&server, "default", json!({})).await;
    });
    made.ok(201);
}

#[tokio::test]
async fn mirror_pods_get_nothing() {
    let server = start().await;
    let mirror = |name: &str| {
        let mut pod = pod(name);
        pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        pod
    };
    let made = server.post(PODS, &mirror("a")).await.ok(201);
    assert_eq!((&made["spec"]["serviceAccountName"], &made["spec"]["volumes"]), (&json!(null), &json!(null)));
    let mut named = mirror("b");
    named["spec"]["serviceAccountName"] = json!("default");
    let refusal = "a mirror pod may not reference service accounts";
    server.post(PODS, &named).await.fails_with(403, "Forbidden", refusal);
}

#[tokio::test]
async fn an_account_can_limit_secrets() {
    let server = start().await;
    let strict = json!({
        "metadata": {"name": "strict", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}},
        "secrets": [{"name": "own"}]
    });
    account(&server, "strict", strict).await;
    let with = |name: &str, secret: &str| {
        let mut pod = pod(name);
        pod["spec"]["serviceAccountName"] = json!("strict");
        pod["spec"]["volumes"] = json!([{"name": "s", "secret": {"secretName": secret}}]);
        pod
    };
    server.post(PODS, &with("a", "own")).await.ok(201);
    let refusal = "volume with secret.secretName=\"other\" is not allowed because service account strict does not \
                   reference that secret";
    server.post(PODS, &with("b", "other")).await.fails_with(403, "Forbidden", refusal);

    let path = format!("{PODS}/a/ephemeralcontainers");
    let mut debugged = server.get(&path).await.ok(200);
    debugged["spec"]["ephemeralContainers"] = json!([{"name": "d", "image": "i", "env": [
        {"name": "E", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}
    ]}]);
    let refusal =
        "ephemeral container d with envVar E referencing secret.secretName=\"other\" is not allowed";
    server.put(&path, &debugged).await.fails_with(403, "Forbidden", refusal);
}
