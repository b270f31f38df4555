//! Asking in the name of somebody else.

use http::{HeaderName, Method};
use serde_json::json;

use crate::http::{Answer, Client};
use crate::rbac::{binding, role, until};
use crate::server::{PODS, Server};

const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

async fn who(client: &Client, headers: &[(&'static str, &str)]) -> Answer {
    let mut call = client.call(Method::POST, WHO).json(&json!({}));
    for (name, value) in headers {
        call = call.header(HeaderName::from_static(name), value);
    }
    call.send().await
}

#[tokio::test]
async fn who_may_everything_may_be_everybody() {
    let server = Server::start().await;
    let headers = [
        ("impersonate-user", "jane"),
        ("impersonate-group", "dev"),
        ("impersonate-uid", "u"),
        ("impersonate-extra-scopes", "a"),
    ];
    let info = &who(&server, &headers).await.ok(201)["status"]["userInfo"];
    assert_eq!(
        info,
        &json!({
            "username": "jane",
            "uid": "u",
            "groups": ["dev", "system:authenticated"],
            "extra": {"scopes": ["a"]},
        })
    );
    // From then on she is who asks.
    let answer = server
        .call(Method::GET, PODS)
        .header(HeaderName::from_static("impersonate-user"), "jane")
        .send()
        .await;
    answer.fails_with(403, "Forbidden", r#"User "jane" cannot list resource "pods""#);
    who(&server, &[("impersonate-group", "dev")]).await.fails_with(
        500,
        "InternalError",
        "without impersonating a user",
    );
}

#[tokio::test]
async fn others_may_be_whom_they_may() {
    let server = Server::start().await;
    let joe = server.client("joe", &[]);
    let status = who(&joe, &[("impersonate-user", "jane")]).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        r#"users "jane" is forbidden: User "joe" cannot impersonate resource "users" in API group "" at the cluster scope"#
    );
    let rules = json!([
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["jane"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]);
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    server.post(&format!("{rbac}/clusterroles"), &role("actor", rules)).await.ok(201);
    let bound = binding("joe", "ClusterRole", "actor", "joe");
    server.post(&format!("{rbac}/clusterrolebindings"), &bound).await.ok(201);
    until(&joe, "/metrics", 200).await;
    let info = &who(&joe, &[("impersonate-user", "jane")]).await.ok(201)["status"]["userInfo"];
    assert_eq!(info["username"], "jane");
    let both = who(&joe, &[("impersonate-user", "jane"), ("impersonate-group", "system:masters")]).await;
    both.fails_with(403, "Forbidden", r#"groups "system:masters" is forbidden"#);
    let extra = who(&joe, &[("impersonate-user", "jane"), ("impersonate-extra-scopes", "a")]).await;
    extra.fails_with(403, "Forbidden", r#"userextras.authentication.k8s.io "a" is forbidden"#);
    let robot = [("impersonate-user", "system:serviceaccount:default:robot")];
    let info = &who(&joe, &robot).await.ok(201)["status"]["userInfo"];
    let groups = json!(["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]);
    assert_eq!(info["groups"], groups);
}
