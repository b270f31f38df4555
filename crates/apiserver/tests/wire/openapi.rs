//! The API described for programs.

use http::Method;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, EXPIRES, IF_NONE_MATCH, LOCATION,
};
use serde_json::{Value, json};

use crate::http::{Answer, JSON};
use crate::server::Server;

const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const V3_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";

fn header(answer: &Answer, name: http::HeaderName) -> &str {
    answer.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn each_group_has_a_document() {
    let server = Server::start().await;
    let index = server.get("/openapi/v3").await.ok(200);
    for (path, entry) in index["paths"].as_object().unwrap() {
        let answer = server.get(entry["serverRelativeURL"].as_str().unwrap()).await;
        assert_eq!(header(&answer, CACHE_CONTROL), "public, immutable", "{path}");
        assert!(header(&answer, EXPIRES).ends_with(" GMT"), "{path}");
        let document = answer.ok(200);
        assert_eq!(document["openapi"], "3.0.0", "{path}");
        assert_ne!(document["paths"], json!({}), "{path}");
    }
    let core = server.get("/openapi/v3/api/v1").await;
    assert_eq!(header(&core, CACHE_CONTROL), "no-cache, private");
    assert!(core.ok(200)["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"].is_object());
    for path in ["/openapi/v3/api/v9", "/openapi/v3/apis/no/v1", "/openapi/v9"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_address_with_an_old_hash_leads_to_the_new_one() {
    let server = Server::start().await;
    let index = server.get("/openapi/v3").await.ok(200);
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let answer = server.get("/openapi/v3/apis/apps/v1?hash=old").await;
    assert_eq!((answer.status, header(&answer, LOCATION)), (301, url));
}

#[tokio::test]
async fn every_path_and_reference_holds() {
    let server = Server::start().await;
    for (path, prefix) in [("/openapi/v2", "#/definitions/"), ("/openapi/v3/api/v1", "#/components/schemas/")]
    {
        let document = server.get(path).await.ok(200);
        let text = document.to_string();
        let schemas = if path == "/openapi/v2" {
            assert_eq!(document["swagger"], "2.0");
            &document["definitions"]
        } else {
            &document["components"]["schemas"]
        };
        for reference in text.split(prefix).skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas[name].is_object(), "{path}: {name}");
        }
        for reference in text.split("#/parameters/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["parameters"][name].is_object(), "{path}: {name}");
        }
        for (path, item) in document["paths"].as_object().unwrap() {
            for name in path.split('{').skip(1) {
                let name = name.split('}').next().unwrap();
                let parameters = item["parameters"].as_array().unwrap();
                let found = parameters.iter().any(|one| {
                    let text = one.to_string();
                    text.contains(&format!("\"name\":\"{name}\"")) || text.contains(&format!("/{name}-"))
                });
                assert!(found, "{path}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn documents_are_kept_by_clients() {
    let server = Server::start().await;
    for path in ["/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1"] {
        let first = server.get(path).await;
        let etag = header(&first, ETAG);
        let again = server.call(Method::GET, path).header(IF_NONE_MATCH, etag).send().await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let other = server.call(Method::GET, path).header(IF_NONE_MATCH, "\"x\"").send().await;
        assert_eq!(other.status, 200, "{path}");
        let gzip = server.call(Method::GET, path).header(ACCEPT_ENCODING, "gzip").send().await;
        assert_eq!(header(&gzip, CONTENT_ENCODING), "gzip", "{path}");
        let mut plain = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&gzip.body[..]);
        std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
        assert_eq!(plain, first.body, "{path}");
    }
}

#[tokio::test]
async fn protobuf_is_answered_to_who_asks_for_it() {
    let server = Server::start().await;
    for (path, protobuf, head) in [
        ("/openapi/v2", V2_PROTOBUF, &b"\n\x032.0\x12"[..]),
        ("/openapi/v3/apis/apps/v1", V3_PROTOBUF, b"\n\x053.0.0\x12"),
    ] {
        // The old name of the type has an @ in it.
        for accept in [protobuf.to_owned(), protobuf.replace(".v1.0", "@v1.0"), format!("{protobuf},{JSON}")]
        {
            let answer = server.get_as(path, &accept).await;
            assert_eq!((answer.status, answer.content_type().as_str()), (200, protobuf), "{accept}");
            assert!(answer.body.starts_with(head), "{path}");
        }
        let answer = server.call(Method::GET, path).header(ACCEPT, "text/html").send().await;
        assert_eq!(answer.status, 406);
    }
}

#[tokio::test]
async fn operations_are_described_as_clients_read_them() {
    let server = Server::start().await;
    let apps = server.get("/openapi/v3/apis/apps/v1").await.ok(200);
    let path = &apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    // kubectl looks for what can be tried without doing it.
    let parameters = path["patch"]["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "dryRun"));
    assert_eq!(
        path["patch"]["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    let list = &apps["paths"]["/apis/apps/v1/deployments"]["get"];
    let content = list["responses"]["200"]["content"].as_object().unwrap();
    let media: Vec<&String> = content.keys().collect();
    assert!(media.iter().any(|media| *media == "application/json;stream=watch"), "{media:?}");
    let spec: &Value = &apps["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"];
    assert_eq!(spec["properties"]["strategy"]["x-kubernetes-patch-strategy"], "retainKeys");
}
