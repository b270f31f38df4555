//! Who asks through a front proxy, which says so in headers.

use http::{HeaderName, Method};
use serde_json::{Value, json};

use crate::extension_server::World;
use crate::http::{Answer, Client};
use crate::server::Server;

const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

async fn who(client: &Client, headers: &[(&'static str, &str)]) -> Answer {
    let mut call = client.call(Method::POST, WHO).json(&json!({}));
    for (name, value) in headers {
        call = call.header(HeaderName::from_static(name), value);
    }
    call.send().await
}

const JANE: [(&str, &str); 5] = [
    ("x-remote-user", "jane"),
    ("x-remote-group", "dev"),
    ("x-remote-group", "system:masters"),
    ("x-remote-uid", "7"),
    ("x-remote-extra-example.com%2fscopes", "a"),
];

#[tokio::test]
async fn a_front_proxy_is_believed() {
    let world = World::start().await;
    let proxy = world.server.client_with(world.front.client("front-proxy-client", &["system:nobody"]));
    let info = &who(&proxy, &JANE).await.ok(201)["status"]["userInfo"];
    assert_eq!(
        info,
        &json!({
            "username": "jane",
            "uid": "7",
            "groups": ["dev", "system:masters", "system:authenticated"],
            "extra": {"example.com/scopes": ["a"]},
        })
    );
    // By itself it is nobody, and that is no way in.
    who(&proxy, &[]).await.fails(401, "Unauthorized");
    proxy.get("/version").await.fails(401, "Unauthorized");
    // Nor is another certificate of its authority.
    let other = world.server.client_with(world.front.client("other", &["system:masters"]));
    who(&other, &JANE).await.fails(401, "Unauthorized");
}

#[tokio::test]
async fn nobody_else_is() {
    let world = World::start().await;
    let user = |answer: &Answer| answer.ok(201)["status"]["userInfo"]["username"].clone();
    // The name is right, but the authority is not.
    let joe = world.server.client("front-proxy-client", &[]);
    assert_eq!(user(&who(&joe, &JANE).await), "front-proxy-client");
    who(&world.server.anonymous(), &JANE).await.fails(403, "Forbidden");
    // A server that knows no front proxies has none.
    let server = Server::start().await;
    assert_eq!(user(&who(&server, &JANE).await), "admin");
}

#[tokio::test]
async fn servers_behind_learn_whom_to_believe() {
    let world = World::start().await;
    let path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let data = world.server.get(path).await.ok(200)["data"].clone();
    let text = |bytes: Vec<u8>| Value::from(String::from_utf8(bytes).unwrap().replace('\r', ""));
    assert_eq!(data["client-ca-file"], text(world.server.pem("ca")));
    assert!(
        data["requestheader-client-ca-file"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----")
    );
    for (key, value) in [
        ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
        ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
        ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
    ] {
        assert_eq!(data[key], value, "{key}");
    }
    let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/extension-apiserver-authentication-reader";
    world.server.get(role).await.ok(200);
}
