use serde_json::{Value, json};

use super::*;
use crate::validation::common::texts;

fn of(spec: Value, status: Value) -> CertificateSigningRequest {
    let mut whole = json!({ "signerName": "a.b/c", "usages": ["client auth"] });
    for (field, value) in spec.as_object().unwrap() {
        whole[field] = value.clone();
    }
    serde_json::from_value(json!({ "spec": whole, "status": status })).unwrap()
}

fn with(conditions: Value) -> CertificateSigningRequest {
    of(json!({}), json!({ "conditions": conditions }))
}

fn condition(r#type: &str) -> Value {
    json!({ "type": r#type, "status": "True" })
}

#[test]
fn a_request_says_what_for() {
    assert_eq!(request(&of(json!({}), json!({}))), []);
    assert_eq!(
        texts(&request(&CertificateSigningRequest::default())),
        ["spec.usages: Required value", "spec.signerName: Required value"]
    );
    let bad = json!({
        "signerName": "kubernetes.io/legacy-unknown", "expirationSeconds": 599, "usages": ["any", "any"],
    });
    assert_eq!(
        texts(&request(&of(bad, json!({})))),
        [
            "spec.usages[1]: Duplicate value: \"any\"",
            "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via \
             this API version",
            "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)",
        ]
    );
    let unknown = texts(&request(&of(json!({ "usages": ["x"] }), json!({}))));
    assert_eq!(unknown.len(), 1);
    assert!(
        unknown[0].starts_with(
            "spec.usages[0]: Unsupported value: \"x\": supported values: \"any\", \"cert sign\""
        )
    );
}

#[test]
fn what_an_old_one_breaks_may_stay_broken() {
    let old = json!({ "signerName": "kubernetes.io/legacy-unknown", "usages": ["x", "x"] });
    let old = of(old, json!({ "conditions": [{ "status": "True" }, { "status": "True" }] }));
    assert_eq!(update(&old, &old), []);
    assert_eq!(update(&old, &of(json!({}), json!({}))).len(), request(&old).len());
    let both = with(json!([condition("Approved"), condition("Denied")]));
    assert_eq!(update(&both, &both), []);
}

#[test]
fn a_decision_is_one_and_true() {
    let bad = with(
        json!([condition("Approved"), condition("Denied"), { "type": "Failed", "status": "False" }, {}]),
    );
    assert_eq!(
        texts(&approval(&bad, &with(json!([])))),
        [
            "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive",
            "status.conditions[2].status: Unsupported value: \"False\": supported values: \"True\"",
            "status.conditions[3].type: Required value",
            "status.conditions[3].status: Required value",
        ]
    );
    let twice = with(json!([condition("a"), condition("a")]));
    assert_eq!(texts(&request(&twice)), ["status.conditions[1].type: Duplicate value: \"a\""]);
}

#[test]
fn each_writer_has_a_part() {
    let (none, approved) = (with(json!([])), with(json!([condition("Approved")])));
    assert_eq!(approval(&approved, &none), []);
    let add = "status.conditions: Forbidden: updates may not add a condition of type \"Approved\"";
    assert_eq!(texts(&status_update(&approved, &none)), [add]);
    let remove = "status.conditions: Forbidden: updates may not remove a condition of type \"Approved\"";
    assert_eq!(texts(&approval(&none, &approved)), [remove]);
    let other = with(json!([{ "type": "Approved", "status": "True", "reason": "Other" }]));
    assert_eq!(approval(&other, &approved), []);
    assert_eq!(status_update(&other, &approved).len(), 1);
    let mut kept = other;
    keep_decisions(&mut kept, &approved);
    assert_eq!(kept, approved);
    let (signed, again) = (json!({ "certificate": "eA==" }), json!({ "certificate": "eQ==" }));
    let (signed, again) = (of(json!({}), signed), of(json!({}), again));
    assert_eq!(status_update(&signed, &none), []);
    assert_eq!(
        texts(&status_update(&again, &signed)),
        ["status.certificate: Forbidden: updates may not modify existing certificate content"]
    );
    assert_eq!(
        texts(&approval(&signed, &none)),
        ["status.certificate: Forbidden: updates may not set certificate content"]
    );
}
