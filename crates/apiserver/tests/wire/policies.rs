//! Webhooks and policies of admission: what each kind makes of a request.

use serde_json::{Value, json};

use crate::http::{MERGE, STRATEGIC};
use crate::server::Server;

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

async fn first_row(server: &Server, path: &str) -> (Vec<Value>, Vec<Value>) {
    let table = server.get_as(path, TABLE).await.ok(200);
    let columns = table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    (columns, table["rows"][0]["cells"].as_array().unwrap().clone())
}

fn hook(name: &str) -> Value {
    json!({
        "name": name,
        "clientConfig": {"service": {"namespace": "n", "name": "s"}},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    })
}

#[tokio::test]
async fn webhooks_are_completed_and_counted() {
    let server = Server::start().await;
    for (kind, plural) in [
        ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
        ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
    ] {
        let path = format!("{GROUP}/{plural}");
        let one = format!("{path}/w");
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "w"},
            "webhooks": [hook("a.example.com")],
        });
        let made = server.post(&path, &configuration).await.ok(201);
        let first = &made["webhooks"][0];
        assert_eq!(first["clientConfig"]["service"]["port"], 443);
        assert_eq!(first["rules"][0]["scope"], "*");
        assert_eq!((&first["failurePolicy"], &first["timeoutSeconds"]), (&json!("Fail"), &json!(10)));
        assert_eq!(first.get("reinvocationPolicy").is_some(), kind.starts_with("Mutating"));
        assert_eq!(made["metadata"]["generation"], 1);
        // Webhooks merge by their names, and a change counts.
        let more = json!({"webhooks": [hook("b.example.com")]});
        let more = server.patch(&one, STRATEGIC, &more).await.ok(200);
        assert_eq!(more["webhooks"].as_array().unwrap().len(), 2);
        assert_eq!(more["metadata"]["generation"], 2);
        // Nobody replaces what he has not seen.
        server.put(&one, &configuration).await.invalid(&[("metadata.resourceVersion", "FieldValueInvalid")]);
        let (columns, cells) = first_row(&server, &path).await;
        assert_eq!(columns, ["Name", "Webhooks", "Age"]);
        assert_eq!(cells[..2], [json!("w"), json!(2)]);
        let short = json!({"webhooks": [hook("short")]});
        server.patch(&one, MERGE, &short).await.invalid(&[("webhooks[0].name", "FieldValueInvalid")]);
        server.delete(&one).await.ok(200);
    }
}

#[tokio::test]
async fn policies_are_bound() {
    let server = Server::start().await;
    let rule =
        json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
    let policies = format!("{GROUP}/validatingadmissionpolicies");
    let mut policy = json!({
        "metadata": {"name": "p"},
        "spec": {
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "object.metadata.name != params.data.name"}],
        },
    });
    let made = server.post(&policies, &policy).await.ok(201);
    let constraints = &made["spec"]["matchConstraints"];
    assert_eq!(
        (&constraints["matchPolicy"], &constraints["objectSelector"]),
        (&json!("Equivalent"), &json!({}))
    );
    let (columns, cells) = first_row(&server, &policies).await;
    assert_eq!(columns, ["Name", "Validations", "ParamKind", "Age"]);
    assert_eq!(cells[..3], [json!("p"), json!(1), json!("v1/ConfigMap")]);
    policy["metadata"]["name"] = json!("q");
    policy["spec"]["validations"] = json!([{"expression": " "}]);
    let answer = server.post(&policies, &policy).await;
    answer.invalid(&[("spec.validations[0].expression", "FieldValueRequired")]);
    let bindings = format!("{GROUP}/validatingadmissionpolicybindings");
    let mut binding = json!({
        "metadata": {"name": "b"},
        "spec": {
            "policyName": "p",
            "paramRef": {"name": "c", "namespace": "n", "parameterNotFoundAction": "Deny"},
            "validationActions": ["Deny"],
        },
    });
    server.post(&bindings, &binding).await.ok(201);
    let (columns, cells) = first_row(&server, &bindings).await;
    assert_eq!(columns, ["Name", "PolicyName", "ParamRef", "Age"]);
    assert_eq!(cells[..3], [json!("b"), json!("p"), json!("n/c")]);
    binding["metadata"]["name"] = json!("c");
    binding["spec"]["validationActions"] = json!([]);
    server.post(&bindings, &binding).await.invalid(&[("spec.validationActions", "FieldValueRequired")]);
}

#[tokio::test]
async fn a_policy_changes_nothing_that_is_deleted() {
    let server = Server::start().await;
    let policies = format!("{GROUP}/mutatingadmissionpolicies");
    let mut policy = json!({
        "metadata": {"name": "p"},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]},
            ]},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}],
            "reinvocationPolicy": "IfNeeded",
        },
    });
    server.post(&policies, &policy).await.ok(201);
    let (columns, cells) = first_row(&server, &policies).await;
    assert_eq!(columns, ["Name", "Mutations", "ParamKind", "Age"]);
    assert_eq!(cells[..3], [json!("p"), json!(1), json!("<unset>")]);
    policy["metadata"]["name"] = json!("q");
    policy["spec"]["matchConstraints"]["resourceRules"][0]["operations"] = json!(["DELETE"]);
    let field = "spec.matchConstraints.resourceRules.operations";
    server.post(&policies, &policy).await.invalid(&[(field, "FieldValueNotSupported")]);
}
