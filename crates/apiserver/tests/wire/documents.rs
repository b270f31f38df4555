//! What is no object: health, version, metrics, discovery, OpenAPI.

use http::Method;
use http::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::http::JSON;
use crate::server::Server;

#[tokio::test]
async fn health_lists_its_checks() {
    let server = Server::start().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text()), (200, "ok"), "{path}");
    }
    let verbose = server.get("/readyz?verbose").await;
    for line in ["[+]ping ok", "[+]informer-sync ok", "[+]etcd ok", "readyz check passed"] {
        assert!(verbose.text().contains(line), "{line}: {}", verbose.text());
    }
    let without = server.get("/readyz?verbose&exclude=etcd").await;
    assert!(without.text().contains("[+]etcd excluded: ok"), "{}", without.text());
    for path in ["/readyz/etcd", "/readyz/informer-sync", "/readyz/ping", "/livez/ping", "/healthz/ping"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text()), (200, "ok"), "{path}");
    }
    for path in ["/readyz/nothing", "/livez/etcd", "/livez/ping/more"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_version_is_that_of_the_api() {
    let server = Server::start().await;
    let version = server.get("/version").await.ok(200);
    assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("36")));
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.36."));
}

#[tokio::test]
async fn metrics_are_text() {
    let server = Server::start().await;
    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.content_type().starts_with("text/plain"));
    assert!(metrics.text().contains("apiserver_request_total"), "{}", metrics.text());
}

#[tokio::test]
async fn discovery_in_single_documents() {
    let server = Server::start().await;
    assert_eq!(server.get("/api").await.ok(200)["versions"], json!(["v1"]));
    let groups = server.get("/apis").await.ok(200);
    assert_eq!(groups["kind"], "APIGroupList");
    for group in groups["groups"].as_array().unwrap() {
        let name = group["name"].as_str().unwrap();
        assert_eq!(server.get(&format!("/apis/{name}")).await.ok(200)["kind"], "APIGroup");
        let version = group["preferredVersion"]["groupVersion"].as_str().unwrap();
        let resources = server.get(&format!("/apis/{version}")).await.ok(200);
        assert_eq!(
            (&resources["kind"], &resources["groupVersion"]),
            (&json!("APIResourceList"), &json!(version))
        );
    }
    let api = server.get("/api").await.ok(200);
    let address = &api["serverAddressByClientCIDRs"][0]["serverAddress"];
    assert!(address.as_str().unwrap().starts_with("192.0.2.1:"), "{address}");
    let core = server.get("/api/v1").await.ok(200);
    assert!(core.get("apiVersion").is_none());
    let resource = |name: &str| -> Value {
        let resources = core["resources"].as_array().unwrap();
        resources.iter().find(|one| one["name"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(resource("pods")["shortNames"], json!(["po"]));
    assert_eq!(resource("pods")["storageVersionHash"], "xPOwRZ+Yhw8=");
    assert_eq!(resource("pods/binding")["verbs"], json!(["create"]));
    assert_eq!(resource("namespaces")["namespaced"], false);
    let paths = server.get("/").await.ok(200);
    assert!(paths["paths"].as_array().unwrap().contains(&json!("/apis/apps/v1")));
}

#[tokio::test]
async fn discovery_in_protobuf() {
    use gantry_api::meta::v1::{ApiGroupList, ApiResourceList};
    use prost::Message as _;
    let server = Server::start().await;
    let open = |answer: crate::http::Answer| {
        assert_eq!((answer.status, answer.content_type().as_str()), (200, crate::http::PROTOBUF));
        gantry_store::envelope::decode(&answer.body).unwrap()
    };
    let envelope = open(server.get_as("/apis", crate::http::PROTOBUF).await);
    assert_eq!((envelope.api_version.as_str(), envelope.kind.as_str()), ("v1", "APIGroupList"));
    let groups = ApiGroupList::decode(envelope.raw).unwrap();
    assert_eq!(groups.groups[0].name, "apiregistration.k8s.io");
    let envelope = open(server.get_as("/apis/apps/v1", crate::http::PROTOBUF).await);
    let resources = ApiResourceList::decode(envelope.raw).unwrap().resources;
    let found = resources.iter().find(|one| one.name == "deployments/scale").unwrap();
    assert_eq!((found.group.as_str(), found.kind.as_str()), ("autoscaling", "Scale"));
}

#[tokio::test]
async fn discovery_in_one_document() {
    let server = Server::start().await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (path, resource) in [("/api", "pods"), ("/apis", "deployments")] {
        // As clients ask: the new form, then older ones.
        let accepts = format!(
            "{accept},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,{JSON}"
        );
        let answer = server.get_as(path, &accepts).await;
        assert_eq!(answer.content_type(), accept);
        let list = answer.ok(200);
        assert_eq!(
            (&list["kind"], &list["apiVersion"]),
            (&json!("APIGroupDiscoveryList"), &json!("apidiscovery.k8s.io/v2"))
        );
        let found = list["items"].as_array().unwrap().iter().any(|group| {
            let resources = group["versions"][0]["resources"].as_array().unwrap();
            resources.iter().any(|one| one["resource"] == resource)
        });
        assert!(found, "{resource}: {list}");
        // It is not sent again while it is the same.
        let etag = answer.headers.get(ETAG).unwrap().to_str().unwrap();
        let call =
            server.call(Method::GET, path).header(http::header::ACCEPT, accept).header(IF_NONE_MATCH, etag);
        let again = call.send().await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
}
