//! Requests that another API server answers.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::extension_server::{GROUP, NAME, SERVICES, World, available};
use crate::http::{Answer, MERGE, PROTOBUF};
use crate::overload::eventually;
use crate::rbac::{binding, role, until};
use crate::server::Server;

const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The value of a header that the server behind got.
fn header<'a>(told: &'a Value, name: &str) -> Vec<&'a str> {
    let all = told["headers"][name].as_array();
    all.into_iter().flatten().map(|value| value.as_str().unwrap()).collect()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text()), (status, text));
}

/// Lets jane do everything with gears.
async fn let_jane(world: &World) {
    let rules = json!([
        {"apiGroups": ["ext.example"], "resources": ["gears"], "verbs": ["get", "create"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]);
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    world.server.post(&format!("{rbac}/clusterroles"), &role("gears", rules)).await.ok(201);
    let bound = binding("jane", "ClusterRole", "gears", "jane");
    world.server.post(&format!("{rbac}/clusterrolebindings"), &bound).await.ok(201);
    until(&world.server.client("jane", &["dev"]), "/metrics", 200).await;
}

#[tokio::test]
async fn a_request_goes_through_in_the_name_of_who_asks() {
    let world = World::ready().await;
    let_jane(&world).await;
    let jane = world.server.client("jane", &["dev"]);
    let path = format!("{GROUP}/namespaces/n/gears/a%20b?x=1&y=%2F");
    let mut call = jane.call(Method::GET, &path).header(AUTHORIZATION, "Bearer secret");
    // What only a front proxy may say.
    for (name, value) in [
        ("x-remote-user", "admin"),
        ("x-remote-group", "system:masters"),
        ("x-remote-uid", "0"),
        ("x-remote-extra-scopes", "all"),
        ("x-forwarded-host", "forged"),
        ("x-own", "kept"),
        ("audit-id", "the-one"),
    ] {
        call = call.header(HeaderName::from_static(name), value);
    }
    let told = call.send().await.ok(200);
    assert_eq!((&told["method"], &told["uri"]), (&json!("GET"), &json!(path)));
    assert_eq!(header(&told, "x-remote-user"), ["jane"]);
    assert_eq!(header(&told, "x-remote-group"), ["dev", "system:authenticated"]);
    for gone in ["x-remote-uid", "x-remote-extra-scopes", "authorization"] {
        assert!(header(&told, gone).is_empty(), "{gone}: {told}");
    }
    assert_eq!((header(&told, "x-own"), header(&told, "audit-id")), (vec!["kept"], vec!["the-one"]));
    assert_eq!(header(&told, "x-forwarded-for"), ["127.0.0.1"]);
    let host = format!("back.default.svc:{}", world.back.port);
    assert_eq!((header(&told, "host"), header(&told, "x-forwarded-host")), (vec![&*host], vec![&*host]));
    assert_eq!(header(&told, "x-forwarded-uri"), [format!("{GROUP}/namespaces/n/gears/a%20b")]);
    assert_eq!(header(&told, "x-forwarded-proto"), ["https"]);

    // Who may not is told so here.
    let denied = jane.delete(&format!("{GROUP}/namespaces/n/gears/a")).await;
    let status = denied.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        r#"gears.ext.example "a" is forbidden: User "jane" cannot delete resource "gears" in API group "ext.example" in the namespace "n""#
    );
    let list = jane.get(&format!("{GROUP}/gears?watch=1")).await;
    list.fails_with(403, "Forbidden", r#"cannot watch resource "gears""#);
    world.server.anonymous().get(&format!("{GROUP}/gears")).await.fails(403, "Forbidden");
}

#[tokio::test]
async fn nobody_is_impersonated_behind_the_servers_back() {
    let world = World::ready().await;
    let_jane(&world).await;
    let path = format!("{GROUP}/namespaces/n/gears/a");
    let user = HeaderName::from_static("impersonate-user");
    let jane = world.server.client("jane", &[]);
    let denied = jane.call(Method::GET, &path).header(user.clone(), "admin").send().await;
    denied.fails_with(403, "Forbidden", r#"cannot impersonate resource "users""#);
    let call = world.server.call(Method::GET, &path).header(user, "jane");
    let told = call.header(HeaderName::from_static("impersonate-extra-a"), "b").send().await.ok(200);
    assert_eq!(header(&told, "x-remote-user"), ["jane"]);
    assert_eq!(header(&told, "x-remote-extra-a"), ["b"]);
    let headers = told["headers"].as_object().unwrap();
    assert!(!headers.keys().any(|name| name.starts_with("impersonate-")), "{told}");
}

#[tokio::test]
async fn bodies_and_watches_are_streamed() {
    let world = World::ready().await;
    let path = format!("{GROUP}/namespaces/n/gears");
    // More than this server takes itself.
    let pieces = vec![Bytes::from(vec![b'x'; 1 << 20]); 5];
    let call = world.server.call(Method::POST, &path).pieces("application/octet-stream", pieces);
    let told = call.send().await.ok(200);
    assert_eq!((&told["method"], &told["length"]), (&json!("POST"), &json!(5 << 20)));

    let mut events = world.server.watch(&format!("{path}?watch=true"), "application/json").await;
    assert_eq!(events.named().await.1, "first");
    world.back.go_on();
    assert_eq!(events.named().await.1, "second");
    assert!(events.event().await.is_none());
}

#[tokio::test]
async fn a_connection_can_be_taken_over() {
    let world = World::ready().await;
    let mut stream = world.server.connect().await;
    let request = format!(
        "POST {GROUP}/namespaces/n/gears/a/tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
         Upgrade: backwards\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("upgrade: backwards\r\n"), "{head}");
    stream.write_all(b"abcd").await.unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"dcba");

    let moved = world.server.get(&format!("{GROUP}/gears/moved")).await;
    refused(&moved, 502, "the backend attempted to redirect this request, which is not permitted");
}

#[tokio::test]
async fn who_does_not_answer_is_not_available() {
    let world = World::ready().await;
    let gears = format!("{GROUP}/namespaces/n/gears");
    world.server.get(&gears).await.ok(200);
    let service = format!("{SERVICES}/{NAME}");
    let before = world.server.get(&service).await.ok(200);
    assert_eq!(before["status"]["conditions"][0]["message"], "all checks passed");
    world.back.set_broken(true);
    // It is looked at when its Service changes.
    let touch = json!({"metadata": {"labels": {"touched": "1"}}});
    let of_service = "/api/v1/namespaces/default/services/back";
    world.server.patch(of_service, MERGE, &touch).await.ok(200);
    let message = world.until("False", "FailedDiscoveryCheck").await;
    let url = format!("https://back.default.svc:{}{GROUP}", world.back.port);
    assert_eq!(message, format!("failing or missing response from {url}: bad status from {url}: 500"));
    eventually(async || world.server.get(&gears).await.status == 503).await;
    refused(&world.server.get(&gears).await, 503, "service unavailable\n");
    refused(&world.server.get(GROUP).await, 503, "service unavailable\n");
    for line in [
        r#"aggregator_unavailable_apiservice{name="v1.ext.example"} 1"#,
        r#"aggregator_unavailable_apiservice_total{name="v1.ext.example",reason="FailedDiscoveryCheck"}"#,
    ] {
        // Other tests of this process count, too.
        eventually(async || world.server.get("/metrics").await.text().contains(line)).await;
    }
    // What it serves is still told, as far as it was known.
    eventually(async || version(&world.server).await["freshness"] == "Stale").await;
    assert_eq!(version(&world.server).await["resources"][0]["resource"], "gears");
    let groups = world.server.get("/apis").await.ok(200);
    assert!(groups["groups"].as_array().unwrap().iter().any(|group| group["name"] == "ext.example"));

    world.back.set_broken(false);
    // Nobody says so: it is asked again.
    world.until("True", "Passed").await;
    eventually(async || world.server.get(&gears).await.status == 200).await;
    eventually(async || version(&world.server).await["freshness"] == "Current").await;

    world.server.delete(&service).await.ok(200);
    eventually(async || world.server.get(GROUP).await.status == 404).await;
    assert_eq!(version(&world.server).await, Value::Null);
}

/// The version in discovery, as one document has it.
async fn version(server: &Server) -> Value {
    let list = server.get_as("/apis", DISCOVERY).await.ok(200);
    let mut groups = list["items"].as_array().unwrap().iter();
    let found = groups.find(|group| group["metadata"]["name"] == "ext.example");
    found.map(|group| group["versions"][0].clone()).unwrap_or_default()
}

#[tokio::test]
async fn who_is_not_believed_gets_nothing() {
    let world = World::start().await;
    // The authority of this server's own certificate did not sign that of the one behind.
    use base64::Engine as _;
    let other = base64::engine::general_purpose::STANDARD.encode(world.server.pem("ca"));
    world.register(&json!({"caBundle": other})).await;
    world.until("True", "Passed").await;
    eventually(async || world.server.get(GROUP).await.text() != "service unavailable\n").await;
    let text = "error trying to reach service: tls: failed to verify certificate: \
                x509: certificate signed by unknown authority\n";
    refused(&world.server.get(&format!("{GROUP}/gears")).await, 503, text);
    assert_eq!(version(&world.server).await, json!({"version": "v1", "freshness": "Stale"}));
    let trust = json!({"spec": {"caBundle": null, "insecureSkipTLSVerify": true}});
    world.server.patch(&format!("{SERVICES}/{NAME}"), MERGE, &trust).await.ok(200);
    eventually(async || world.server.get(&format!("{GROUP}/gears")).await.status == 200).await;
}

#[tokio::test]
async fn what_is_missing_is_told() {
    let server = Server::start().await;
    let mut object = json!({
        "metadata": {"name": NAME},
        "spec": {
            "group": "ext.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
            "service": {"namespace": "default", "name": "back"}, "insecureSkipTLSVerify": true,
        },
    });
    server.post(SERVICES, &object).await.ok(201);
    let message = available(&server, NAME, "False", "ServiceNotFound").await;
    assert_eq!(message, "service/back in \"default\" is not present");
    refused(&server.get(GROUP).await, 503, "service unavailable\n");
    let services = "/api/v1/namespaces/default/services";
    let service = json!({"metadata": {"name": "back"}, "spec": {"ports": [{"name": "web", "port": 80}]}});
    server.post(services, &service).await.ok(201);
    let message = available(&server, NAME, "False", "ServicePortError").await;
    assert_eq!(message, "service/back in \"default\" is not listening on port 443");
    let port = json!({"spec": {"ports": [{"name": "web", "port": 443}]}});
    server.patch(&format!("{services}/back"), MERGE, &port).await.ok(200);
    let message = available(&server, NAME, "False", "EndpointsNotFound").await;
    assert_eq!(message, "cannot find endpointslices for service/back in \"default\"");
    let slice = json!({
        "metadata": {"name": "back-1", "labels": {"kubernetes.io/service-name": "back"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.7"], "conditions": {"ready": false}}],
        "ports": [{"name": "web", "port": 9}],
    });
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    server.post(slices, &slice).await.ok(201);
    let message = available(&server, NAME, "False", "MissingEndpoints").await;
    assert_eq!(
        message,
        "endpointslices for service/back in \"default\" have no addresses with port name \"web\""
    );
    // From somebody else's to one's own.
    object = server.get(&format!("{SERVICES}/{NAME}")).await.ok(200);
    object["spec"].as_object_mut().unwrap().remove("service");
    object["spec"].as_object_mut().unwrap().remove("insecureSkipTLSVerify");
    server.put(&format!("{SERVICES}/{NAME}"), &object).await.ok(200);
    let message = available(&server, NAME, "True", "Local").await;
    assert_eq!(message, "Local APIServices are always available");
}

#[tokio::test]
async fn discovery_has_what_others_serve() {
    let world = World::ready().await;
    eventually(async || version(&world.server).await["freshness"] == "Current").await;
    let found = version(&world.server).await;
    assert_eq!(found["resources"][0]["shortNames"], json!(["gr"]));
    let list = world.server.get_as("/apis", DISCOVERY).await.ok(200);
    let names = |list: &Value, path: &str| -> Vec<String> {
        let groups = list[path].as_array().unwrap().iter();
        let name = |group: &Value| {
            let name = if path == "items" { &group["metadata"]["name"] } else { &group["name"] };
            name.as_str().unwrap().to_owned()
        };
        groups.map(name).collect()
    };
    let wanted = ["apiregistration.k8s.io", "ext.example", "apps"];
    assert_eq!(names(&list, "items")[..3], wanted);
    assert_eq!(names(&world.server.get("/apis").await.ok(200), "groups")[..3], wanted);
    let group = world.server.get("/apis/ext.example").await.ok(200);
    let version_of = json!({"groupVersion": "ext.example/v1", "version": "v1"});
    assert_eq!((&group["kind"], &group["preferredVersion"]), (&json!("APIGroup"), &version_of));
    assert_eq!(world.server.get_as("/apis/ext.example", PROTOBUF).await.status, 200);
    assert_eq!(world.server.get(GROUP).await.ok(200)["resources"][0]["name"], "cogs");
    let paths = world.server.get("/").await.ok(200);
    assert!(paths["paths"].as_array().unwrap().contains(&json!(GROUP)));
    // Documents come from the server that has them.
    let has = async || {
        let whole = world.server.get("/openapi/v2").await.ok(200);
        let definitions = &whole["definitions"];
        assert!(whole["paths"].get("/apis/apps/v1/deployments").is_some());
        assert!(
            definitions.get("Unused").is_none()
                && whole["paths"]
                    .get("/api/v1/secrets")
                    .is_some_and(|path| path["get"]["operationId"] != "listGears")
        );
        whole["paths"].get(format!("{GROUP}/gears")).is_some()
            && definitions.get("example.ext.v1.Gear").is_some()
    };
    eventually(has).await;
    let index = world.server.get("/openapi/v3").await.ok(200);
    let link = index["paths"]["apis/ext.example/v1"]["serverRelativeURL"].as_str().unwrap();
    assert_eq!(link, format!("/openapi/v3{GROUP}?hash=ABC"));
    assert!(index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().is_some());
    let told = world.server.get(link).await.ok(200);
    assert_eq!((&told["uri"], header(&told, "x-remote-user")), (&json!(link), vec!["system:aggregator"]));
    // Older servers have lists only.
    world.back.grow_old();
    let touch = json!({"metadata": {"labels": {"touched": "1"}}});
    world.server.patch("/api/v1/namespaces/default/services/back", MERGE, &touch).await.ok(200);
    eventually(async || version(&world.server).await["resources"][0]["resource"] == "cogs").await;
}
