//! Questions about access: answered, not stored.

use gantry_api::authorization::v1::{NonResourceAttributes, SelfSubjectAccessReview};
use gantry_api::scalars::Time;
use gantry_store::envelope;
use http::Method;
use serde_json::{Value, json};

use crate::http::PROTOBUF;
use crate::rbac::{binding, role, until};
use crate::server::{PODS, Server};

const ACCESS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const LOCAL: &str = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews";
const SELF: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const RULES: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

fn list_pods(namespace: &str) -> Value {
    json!({"namespace": namespace, "verb": "list", "resource": "pods"})
}

/// A server whose jane may read pods in `default`.
async fn with_jane() -> Server {
    let server = Server::start().await;
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]);
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    server.post(&format!("{roles}/roles"), &role("reader", rules)).await.ok(201);
    server.post(&format!("{roles}/rolebindings"), &binding("jane", "Role", "reader", "jane")).await.ok(201);
    until(&server.client("jane", &[]), PODS, 200).await;
    server
}

#[tokio::test]
async fn what_somebody_may_do_is_asked() {
    let server = with_jane().await;
    let ask = |namespace: &str| json!({"spec": {"user": "jane", "resourceAttributes": list_pods(namespace)}});
    let answer = server.post(ACCESS, &ask("default")).await.ok(201);
    assert_eq!(
        answer,
        json!({
            "kind": "SubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": {"user": "jane", "resourceAttributes": list_pods("default")},
            "status": {
                "allowed": true,
                "reason": "RBAC: allowed by RoleBinding \"jane/default\" of Role \"reader\" to User \"jane\"",
            },
        })
    );
    let answer = server.post(ACCESS, &ask("kube-system")).await.ok(201);
    assert_eq!(answer["status"], json!({"allowed": false}));
    let masters = json!({"spec": {"groups": ["system:masters"], "nonResourceAttributes": {"path": "/x", "verb": "get"}}});
    assert_eq!(server.post(ACCESS, &masters).await.ok(201)["status"], json!({"allowed": true}));

    let mut local = ask("default");
    assert_eq!(server.post(LOCAL, &local).await.ok(201)["status"]["allowed"], true);
    local["spec"]["resourceAttributes"]["namespace"] = json!("other");
    let status = server.post(LOCAL, &local).await;
    status.invalid(&[("spec.resourceAttributes.namespace", "FieldValueInvalid")]);
    let status = server.post(ACCESS, &json!({"spec": {"user": "jane"}})).await;
    let status = status.invalid(&[("spec.resourceAttributes", "FieldValueInvalid")]);
    assert!(
        status["message"].as_str().unwrap().starts_with(".authorization.k8s.io \"\" is invalid"),
        "{status}"
    );
    // Who may not ask about others, may not.
    server.client("jane", &[]).post(ACCESS, &ask("default")).await.fails(403, "Forbidden");
}

#[tokio::test]
async fn everybody_asks_about_themselves() {
    let server = with_jane().await;
    let jane = server.client("jane", &["dev"]);
    let may = json!({"spec": {"resourceAttributes": list_pods("default")}});
    assert_eq!(jane.post(SELF, &may).await.ok(201)["status"]["allowed"], true);
    let may = json!({"spec": {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}});
    assert_eq!(jane.post(SELF, &may).await.ok(201)["status"]["allowed"], false);
    server.anonymous().post(SELF, &may).await.fails(403, "Forbidden");

    let rules = jane.post(RULES, &json!({"spec": {"namespace": "default"}})).await.ok(201);
    let status = &rules["status"];
    assert_eq!(status["incomplete"], false);
    let pods = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]});
    assert!(status["resourceRules"].as_array().unwrap().contains(&pods), "{status}");
    let version = status["nonResourceRules"].to_string();
    assert!(version.contains("/version"), "{version}");
    jane.post(RULES, &json!({})).await.fails_with(400, "BadRequest", "no namespace on request");

    let who = jane.post(WHO, &json!({})).await.ok(201);
    assert_eq!(who["status"]["userInfo"]["username"], "jane");
    assert_eq!(who["status"]["userInfo"]["groups"], json!(["dev", "system:authenticated"]));
}

#[tokio::test]
async fn questions_are_created_and_nothing_else() {
    let server = Server::start().await;
    for path in [ACCESS, SELF, RULES, WHO] {
        server.get(path).await.fails(405, "MethodNotAllowed");
        server.delete(&format!("{path}/x")).await.fails(405, "MethodNotAllowed");
    }
    server
        .call(Method::PUT, &format!("{SELF}/x"))
        .json(&json!({}))
        .send()
        .await
        .fails(405, "MethodNotAllowed");
    server
        .post("/apis/authorization.k8s.io/v1/localsubjectaccessreviews", &json!({}))
        .await
        .fails(404, "NotFound");
    let list = server.get("/apis/authorization.k8s.io/v1").await.ok(200);
    let names: Vec<&str> =
        list["resources"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "localsubjectaccessreviews",
            "selfsubjectaccessreviews",
            "selfsubjectrulesreviews",
            "subjectaccessreviews"
        ]
    );
    assert_eq!(list["resources"][0]["verbs"], json!(["create"]));
    let wire = server
        .call(Method::POST, WHO)
        .header(http::header::ACCEPT, PROTOBUF)
        .json(&json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}))
        .send()
        .await;
    assert_eq!((wire.status, wire.content_type().as_str()), (201, PROTOBUF));
    assert!(wire.body.starts_with(b"k8s\0"));
    // As client-go writes it: with a time of creation that is none.
    let mut review = SelfSubjectAccessReview::default();
    review.metadata.get_or_insert_default().creation_timestamp = Some(Time::default());
    review.spec.get_or_insert_default().non_resource_attributes =
        Some(NonResourceAttributes { path: "/version".to_owned(), verb: "get".to_owned() });
    let body = envelope::encode("authorization.k8s.io/v1", "SelfSubjectAccessReview", &review);
    let answer = server.call(Method::POST, SELF).body(PROTOBUF, body).send().await.ok(201);
    assert_eq!((&answer["metadata"], &answer["status"]), (&json!({}), &json!({"allowed": true})));
}
