//! Requests for certificates: who asks, who decides, who signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::Server;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn pem(organization: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, organization);
    parameters.serialize_request(&key).unwrap().pem().unwrap()
}

fn request(name: &str, signer: &str, pem: &str) -> Value {
    json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"signerName": signer, "usages": ["client auth"], "request": STANDARD.encode(pem)},
    })
}

#[tokio::test]
async fn the_server_says_who_asks() {
    let server = Server::start().await;
    let jane = server.client("jane", &["system:masters"]);
    let mut asked = request("node:1", "example.com/s", &pem("dev"));
    asked["spec"]["username"] = json!("somebody else");
    asked["spec"]["extra"] = json!({"a": ["b"]});
    asked["status"] = json!({"conditions": [{"type": "Approved", "status": "True"}]});
    let made = jane.post(REQUESTS, &asked).await.ok(201);
    assert_eq!(made["spec"]["username"], "jane");
    assert_eq!(made["spec"]["groups"], json!(["system:masters", "system:authenticated"]));
    assert!(made["spec"].get("extra").is_none(), "{made}");
    assert!(made["status"].get("conditions").is_none(), "{made}");
    assert!(made["metadata"].get("generation").is_none(), "{made}");
    // Nothing of it changes.
    let change = json!({"spec": {"username": "root"}, "status": {"certificate": "eA=="}});
    let one = format!("{REQUESTS}/node:1");
    assert_eq!(server.patch(&one, MERGE, &change).await.ok(200)["spec"], made["spec"]);
    let selected =
        server.get(&format!("{REQUESTS}?fieldSelector=spec.signerName=example.com/s")).await.ok(200);
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
    let selected =
        server.get(&format!("{REQUESTS}?fieldSelector=spec.signerName=example.com/t")).await.ok(200);
    assert!(selected["items"].as_array().unwrap().is_empty());
    let table = server.get_as(REQUESTS, TABLE).await.ok(200);
    let columns: Vec<_> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(columns, ["Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[2..], [json!("example.com/s"), json!("jane"), json!("<none>"), json!("Pending")]);
}

#[tokio::test]
async fn a_request_is_real_and_not_for_everything() {
    let server = Server::start().await;
    let no_pem = request("a", "example.com/s", "x");
    let status = server.post(REQUESTS, &no_pem).await.invalid(&[("spec.request", "FieldValueInvalid")]);
    let message = &status["details"]["causes"][0]["message"];
    assert_eq!(message, r#"Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST"#);
    let client = "kubernetes.io/kube-apiserver-client";
    let masters = request("a", client, &pem("system:masters"));
    let status = server.post(REQUESTS, &masters).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        "certificatesigningrequests.certificates.k8s.io \"a\" is forbidden: use of kubernetes.io/kube-apiserver-client \
         signer with system:masters group is not allowed"
    );
    server.post(REQUESTS, &request("a", client, &pem("dev"))).await.ok(201);
}

#[tokio::test]
async fn a_request_is_decided_and_signed() {
    let server = Server::start().await;
    let mut asked = server.post(REQUESTS, &request("a", "example.com/s", &pem("dev"))).await.ok(201);
    let (one, approval, status) =
        (format!("{REQUESTS}/a"), format!("{REQUESTS}/a/approval"), format!("{REQUESTS}/a/status"));
    let approved = json!([{"type": "Approved", "status": "True", "reason": "Tested", "message": "m"}]);
    asked["status"]["conditions"] = approved.clone();
    let fields = [("status.conditions", "FieldValueForbidden")];
    server.put(&status, &asked).await.invalid(&fields);
    let refused = server.client("jane", &[]).put(&approval, &asked).await;
    refused.fails(403, "Forbidden");
    asked["status"]["certificate"] = json!("eA==");
    let now = server.put(&approval, &asked).await.ok(200);
    let condition = &now["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("Approved"), &json!("Tested")));
    assert!(condition["lastUpdateTime"].is_string() && condition["lastTransitionTime"].is_string(), "{now}");
    assert!(now["status"].get("certificate").is_none(), "{now}");
    assert_eq!(server.get(&approval).await.ok(200), now);
    server.patch(&approval, MERGE, &json!({"status": {"conditions": []}})).await.invalid(&fields);
    let denied = json!([approved[0], {"type": "Denied", "status": "True"}]);
    let both = server.patch(&approval, MERGE, &json!({"status": {"conditions": denied}})).await;
    both.invalid(&[("status.conditions[1].type", "FieldValueInvalid")]);

    let answer = server.patch(&status, MERGE, &json!({"status": {"certificate": "eA=="}})).await;
    answer.invalid(&[("status.certificate", "FieldValueInvalid")]);
    let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert.pem();
    let certificate = STANDARD.encode(certificate);
    let signed = server.patch(&status, MERGE, &json!({"status": {"certificate": certificate}})).await.ok(200);
    assert_eq!(signed["status"]["certificate"], certificate);
    assert_eq!(signed["status"]["conditions"], now["status"]["conditions"]);
    let table = server.get_as(&one, TABLE).await.ok(200);
    assert_eq!(table["rows"][0]["cells"][5], "Approved,Issued");
    let other = STANDARD.encode(rcgen::generate_simple_self_signed(["b".to_owned()]).unwrap().cert.pem());
    let answer = server.patch(&status, MERGE, &json!({"status": {"certificate": other}})).await;
    answer.invalid(&[("status.certificate", "FieldValueForbidden")]);
}
