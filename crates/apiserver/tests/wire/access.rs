//! Who gets what: nobody without a certificate, and no certificate beyond its role.

use http::Method;
use http::header::AUTHORIZATION;
use serde_json::json;

use crate::server::{CONFIG_MAPS, DEPLOYMENTS, PODS, Server, config_map};

#[tokio::test]
async fn the_anonymous_see_health_and_version_and_nothing_else() {
    let server = Server::start().await;
    let nobody = server.anonymous();
    for path in ["/livez", "/readyz", "/healthz", "/livez?verbose", "/version"] {
        assert_eq!(nobody.get(path).await.status, 200, "{path}");
    }
    for path in [
        "/",
        "/api",
        "/apis",
        "/apis/apps/v1",
        "/livez/ping",
        "/metrics",
        "/openapi/v3",
        "/nothing",
        "/api/v1/nodes",
        PODS,
        "/api/v1/namespaces/default/pods/x/log",
        "/api/v1/namespaces/default/secrets?watch=true",
    ] {
        let status = nobody.get(path).await.fails_with(403, "Forbidden", "system:anonymous");
        assert_ne!(status["details"], json!(null), "{path}");
        assert!(status["message"].as_str().unwrap().contains("forbidden"), "{path}: {status}");
    }
    let status = nobody.post(CONFIG_MAPS, &config_map("a")).await.fails(403, "Forbidden");
    assert_eq!(status["details"], json!({"kind": "configmaps"}));
    // Health takes no orders, either.
    nobody.call(Method::POST, "/readyz").send().await.fails(403, "Forbidden");
}

#[tokio::test]
async fn a_token_that_nothing_verifies_is_unauthorized() {
    let server = Server::start().await;
    for path in ["/api", PODS, "/livez"] {
        let answer =
            server.anonymous().call(Method::GET, path).header(AUTHORIZATION, "Basic eDp5").send().await;
        assert_eq!(answer.status, if path == "/livez" { 200 } else { 403 }, "{path}");
        let answer =
            server.anonymous().call(Method::GET, path).header(AUTHORIZATION, "Bearer x").send().await;
        let status = answer.fails(401, "Unauthorized");
        assert_eq!(status["message"], "Unauthorized");
    }
    // A certificate says more than a token.
    let answer = server.call(Method::GET, PODS).header(AUTHORIZATION, "Bearer x").send().await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_role_ends_where_it_ends() {
    let server = Server::start().await;
    let jane = server.client("jane", &["dev"]);
    let status = jane.get(DEPLOYMENTS).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        r#"deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps" in the namespace "default""#
    );
    assert_eq!(status["details"], json!({"group": "apps", "kind": "deployments"}));
    let status = jane.delete(&format!("{CONFIG_MAPS}/a")).await.fails(403, "Forbidden");
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps"}));
    // What is served is known to everyone who is known.
    assert_eq!(jane.get("/version").await.status, 200);

    let scheduler = server.client("system:kube-scheduler", &[]);
    assert_eq!(scheduler.get("/api/v1/pods").await.status, 200);
    scheduler.get("/api/v1/secrets").await.fails(403, "Forbidden");
    let kubelet = server.client("system:node:n1", &["system:nodes"]);
    kubelet.get("/api/v1/secrets").await.fails_with(403, "Forbidden", "can only read namespaced object");
}

#[tokio::test]
async fn who_may_not_ask_does_not_learn_what_there_is() {
    let server = Server::start().await;
    let jane = server.client("jane", &[]);
    for path in ["/apis/no/v1/things", "/api/v1/namespaces/default/nothings/x", "/nothing"] {
        jane.get(path).await.fails(403, "Forbidden");
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}
