//! Tokens of service accounts: asked for, used, reviewed, and void when what they need is gone.

use http::Method;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::http::{Answer, Client};
use crate::rbac::{binding, role};
use crate::server::{PODS, Server, pod};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/robot/token";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const ISSUER: &str = "https://kubernetes.default.svc";

async fn start() -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("sa.key");
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let file = dir.path().join("tokens.csv");
    std::fs::write(&file, "secret-of-jane,jane,7,\"dev\"\n").unwrap();
    let flags = [
        format!("--service-account-signing-key-file={}", key.display()),
        format!("--service-account-issuer={ISSUER}"),
        format!("--token-auth-file={}", file.display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Server::start_with(&flags).await;
    server.post(ACCOUNTS, &json!({"metadata": {"name": "robot"}})).await.ok(201);
    (server, dir)
}

async fn token(server: &Server, spec: Value) -> Value {
    server.post(TOKEN, &json!({"spec": spec})).await.ok(201)
}

async fn with(client: &Client, method: Method, path: &str, token: &str) -> Answer {
    client.call(method, path).header(AUTHORIZATION, &format!("Bearer {token}")).json(&json!({})).send().await
}

#[tokio::test]
async fn a_token_is_asked_for_and_used() {
    let (server, _dir) = start().await;
    let made = token(&server, json!({"expirationSeconds": 600})).await;
    assert_eq!(
        (&made["kind"], &made["apiVersion"]),
        (&json!("TokenRequest"), &json!("authentication.k8s.io/v1"))
    );
    assert_eq!(made["spec"]["audiences"], json!([ISSUER]));
    let text = made["status"]["token"].as_str().unwrap();
    let nobody = server.anonymous();
    let info = with(&nobody, Method::POST, WHO, text).await.ok(201)["status"]["userInfo"].clone();
    assert_eq!(info["username"], "system:serviceaccount:default:robot");
    assert_eq!(
        info["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"])
    );
    let id = info["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().unwrap();
    assert!(id.starts_with("JTI="), "{id}");

    // What a role permits it, it may.
    with(&nobody, Method::GET, PODS, text).await.fails(403, "Forbidden");
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    server.post(&format!("{rbac}/roles"), &role("reader", rules)).await.ok(201);
    let mut bound = binding("robot", "Role", "reader", "");
    bound["subjects"] = json!([{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]);
    server.post(&format!("{rbac}/rolebindings"), &bound).await.ok(201);
    let there = async {
        while with(&nobody, Method::GET, PODS, text).await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::http::PATIENCE, there).await.unwrap();

    let forged = format!("{}x", &text[..text.len() - 1]);
    with(&nobody, Method::GET, PODS, &forged).await.fails(401, "Unauthorized");
    server.delete(&format!("{ACCOUNTS}/robot")).await.ok(200);
    let gone = async {
        while with(&nobody, Method::GET, PODS, text).await.status != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::http::PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn a_token_dies_with_what_it_is_bound_to() {
    let (server, _dir) = start().await;
    let mut own = pod("a");
    own["spec"]["serviceAccountName"] = json!("robot");
    own["spec"]["nodeName"] = json!("n1");
    let uid = server.post(PODS, &own).await.ok(201)["metadata"]["uid"].clone();
    let bound = json!({"kind": "Pod", "apiVersion": "v1", "name": "a", "uid": uid});
    let made = token(&server, json!({"boundObjectRef": bound})).await;
    let text = made["status"]["token"].as_str().unwrap();
    let review = server.post(REVIEWS, &json!({"spec": {"token": text}})).await.ok(201);
    let status = &review["status"];
    assert_eq!((&status["authenticated"], &status["audiences"]), (&json!(true), &json!([ISSUER])));
    let extra = &status["user"]["extra"];
    assert_eq!(extra["authentication.kubernetes.io/pod-uid"], json!([uid]));
    assert_eq!(extra["authentication.kubernetes.io/node-name"], json!(["n1"]));
    let other = json!({"spec": {"token": text, "audiences": ["other"]}});
    let status = server.post(REVIEWS, &other).await.ok(201)["status"].clone();
    assert_eq!(status["authenticated"], json!(null));
    assert!(status["error"].as_str().unwrap().contains("is invalid for the target audiences"), "{status}");

    // The node of the pod may ask for its tokens, and for no others.
    let node = server.client("system:node:n1", &["system:nodes"]);
    let ask = json!({"spec": {"boundObjectRef": bound}});
    node.post(TOKEN, &ask).await.ok(201);
    let unsure = json!({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "a"}}});
    node.post(TOKEN, &unsure).await.fails_with(403, "Forbidden", "a pod binding without a uid");
    let vault = json!({"spec": {"boundObjectRef": bound, "audiences": ["vault"]}});
    node.post(TOKEN, &vault).await.fails_with(403, "Forbidden", "not found in pod spec volume");
    node.post(TOKEN, &json!({})).await.fails_with(403, "Forbidden", "token not bound to a pod");
    server.client("system:node:n2", &["system:nodes"]).post(TOKEN, &ask).await.fails(403, "Forbidden");

    server.delete(&format!("{PODS}/a?gracePeriodSeconds=0")).await.ok(200);
    let gone = async {
        loop {
            let review = server.post(REVIEWS, &json!({"spec": {"token": text}})).await.ok(201);
            if review["status"]["authenticated"] != json!(true) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::http::PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn wrong_requests_for_tokens_are_refused() {
    let (server, _dir) = start().await;
    let short = server.post(TOKEN, &json!({"spec": {"expirationSeconds": 599}})).await;
    let status = short.invalid(&[("spec.expirationSeconds", "FieldValueInvalid")]);
    assert_eq!(
        status["message"],
        "TokenRequest.authentication.k8s.io \"robot\" is invalid: spec.expirationSeconds: Invalid value: 599: may not \
         specify a duration less than 10 minutes"
    );
    let none = server.post(&format!("{ACCOUNTS}/none/token"), &json!({})).await;
    none.fails_with(404, "NotFound", r#"serviceaccounts "none" not found"#);
    server.post(PODS, &pod("other")).await.ok(201);
    for (bound, text) in [
        (
            json!({"kind": "Pod", "apiVersion": "v1", "name": "other"}),
            "running with different serviceaccount name",
        ),
        (
            json!({"kind": "Service", "apiVersion": "v1", "name": "x"}),
            "cannot bind token to object of type /v1, Kind=Service",
        ),
    ] {
        server.post(TOKEN, &json!({"spec": {"boundObjectRef": bound}})).await.fails_with(
            400,
            "BadRequest",
            text,
        );
    }
    let bound = json!({"kind": "Secret", "apiVersion": "v1", "name": "none"});
    server.post(TOKEN, &json!({"spec": {"boundObjectRef": bound}})).await.fails(404, "NotFound");
    server.post(REVIEWS, &json!({})).await.fails_with(
        400,
        "BadRequest",
        "token is required for TokenReview in authentication",
    );
}

#[tokio::test]
async fn tokens_of_a_file_are_users() {
    let (server, _dir) = start().await;
    let info = with(&server.anonymous(), Method::POST, WHO, "secret-of-jane").await.ok(201);
    assert_eq!(
        info["status"]["userInfo"],
        json!({"username": "jane", "uid": "7", "groups": ["dev", "system:authenticated"]})
    );
    with(&server.anonymous(), Method::POST, WHO, "secret-of-joe").await.fails(401, "Unauthorized");
    // They are for the API alone.
    for (audience, fits) in [(ISSUER, json!(true)), ("other", json!(null))] {
        let review = json!({"spec": {"token": "secret-of-jane", "audiences": [audience]}});
        let status = server.post(REVIEWS, &review).await.ok(201)["status"].clone();
        assert_eq!(status["authenticated"], fits, "{status}");
    }
}

#[tokio::test]
async fn what_verifies_tokens_is_published() {
    let (server, _dir) = start().await;
    let about = server.get("/.well-known/openid-configuration").await;
    assert_eq!(about.headers["cache-control"], "public, max-age=3600");
    let about = about.ok(200);
    assert_eq!(about["issuer"], ISSUER);
    assert!(about["jwks_uri"].as_str().unwrap().ends_with("/openid/v1/jwks"), "{about}");
    let keys = server.get("/openid/v1/jwks").await;
    assert_eq!(keys.content_type(), "application/jwk-set+json");
    assert_eq!(keys.ok(200)["keys"][0]["alg"], "ES256");
    server.anonymous().get("/openid/v1/jwks").await.fails(403, "Forbidden");
    let account = server.client("x", &["system:serviceaccounts"]);
    account.get("/openid/v1/jwks").await.ok(200);
    // Without a key there is nothing to publish.
    let server = Server::start().await;
    assert_eq!(server.get("/openid/v1/jwks").await.status, 404);
}

#[tokio::test]
async fn machines_join_with_bootstrap_tokens() {
    let secret = json!({
        "metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
            "auth-extra-groups": "system:bootstrappers:workers", "expiration": "2099-01-01T00:00:00Z",
        },
    });
    let secrets = "/api/v1/namespaces/kube-system/secrets";
    let server = Server::start_with(&["--enable-bootstrap-token-auth"]).await;
    let nobody = server.anonymous();
    let ask = |token: &'static str| with(&nobody, Method::POST, WHO, token);
    ask("abcdef.0123456789abcdef").await.fails(401, "Unauthorized");
    server.post(secrets, &secret).await.ok(201);
    let info = ask("abcdef.0123456789abcdef").await.ok(201)["status"]["userInfo"].clone();
    assert_eq!(info["username"], "system:bootstrap:abcdef");
    let groups = json!(["system:bootstrappers", "system:bootstrappers:workers", "system:authenticated"]);
    assert_eq!(info["groups"], groups);
    ask("abcdef.0123456789abcdee").await.fails(401, "Unauthorized");
    let path = format!("{secrets}/bootstrap-token-abcdef");
    let expired = json!({"stringData": {"expiration": "2020-01-01T00:00:00Z"}});
    server.patch(&path, crate::http::MERGE, &expired).await.ok(200);
    ask("abcdef.0123456789abcdef").await.fails(401, "Unauthorized");

    let without = Server::start().await;
    without.post(secrets, &secret).await.ok(201);
    with(&without.anonymous(), Method::POST, WHO, "abcdef.0123456789abcdef").await.fails(401, "Unauthorized");
}
