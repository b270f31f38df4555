use serde_json::{Value, json};

use super::*;
use crate::validation::common::texts;

fn valid() -> Value {
    json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}},
                }}},
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
                }},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            }],
        },
    })
}

fn read(value: Value) -> CustomResourceDefinition {
    serde_json::from_value(value).unwrap()
}

fn errors(change: impl Fn(&mut Value)) -> Vec<String> {
    let mut value = valid();
    change(&mut value);
    texts(&create(&read(value)))
}

fn of_schema(schema: Value) -> Vec<String> {
    let all = errors(|value| value["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema.clone());
    all.iter().map(|text| text.replace("spec.versions[0].schema.openAPIV3Schema", "S")).collect()
}

#[test]
fn a_definition_is_valid() {
    assert_eq!(errors(|_| {}), Vec::<String>::new());
}

#[test]
fn names_go_together() {
    assert_eq!(
        errors(|value| value["metadata"]["name"] = json!("x.example.com")),
        ["metadata.name: Invalid value: \"x.example.com\": must be spec.names.plural+\".\"+spec.group"]
    );
    assert_eq!(
        errors(|value| value["spec"]["names"]["listKind"] = json!("Widget")),
        ["spec.names.listKind: Invalid value: \"Widget\": kind and listKind may not be the same"]
    );
    assert_eq!(
        errors(|value| value["spec"]["scope"] = json!("Everywhere")),
        ["spec.scope: Unsupported value: \"Everywhere\": supported values: \"Cluster\", \"Namespaced\""]
    );
    let one_label = errors(|value| {
        value["spec"]["group"] = json!("example");
        value["metadata"]["name"] = json!("widgets.example");
    });
    assert_eq!(
        one_label,
        ["spec.group: Invalid value: \"example\": should be a domain with at least one dot"]
    );
    let protected = errors(|value| {
        value["spec"]["group"] = json!("x.k8s.io");
        value["metadata"]["name"] = json!("widgets.x.k8s.io");
    });
    assert!(protected[0].starts_with("metadata.annotations[api-approved.kubernetes.io]: Required value"));
}

#[test]
fn one_version_is_stored() {
    let none = errors(|value| value["spec"]["versions"][0]["storage"] = json!(false));
    assert_eq!(none.len(), 1);
    assert!(none[0].ends_with("must have exactly one version marked as storage version"), "{none:?}");
    let without =
        errors(|value| drop(value["spec"]["versions"][0].as_object_mut().unwrap().remove("schema")));
    assert_eq!(without, ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"]);
}

#[test]
fn columns_and_scales_have_paths() {
    let column = errors(|value| {
        value["spec"]["versions"][0]["additionalPrinterColumns"][0] =
            json!({"name": "", "type": "x", "jsonPath": "a"});
    });
    assert_eq!(
        column,
        [
            "spec.versions[0].additionalPrinterColumns[0].name: Required value",
            "spec.versions[0].additionalPrinterColumns[0].type: Invalid value: \"x\": must be one of \
         boolean,date,integer,number,string",
            "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: \"a\": must be a simple json path \
         starting with .",
        ]
    );
    let scale = errors(|value| {
        value["spec"]["versions"][0]["subresources"]["scale"] =
            json!({"specReplicasPath": ".status.x", "statusReplicasPath": ""});
    });
    assert_eq!(
        scale,
        [
            "spec.versions[0].subresources.scale.specReplicasPath: Invalid value: \".status.x\": should be a json path \
         under .spec",
            "spec.versions[0].subresources.scale.statusReplicasPath: Required value",
        ]
    );
}

#[test]
fn schemas_are_structural() {
    assert_eq!(
        of_schema(json!({"properties": {"a": {}}})),
        [
            "S.properties[a].type: Required value: must not be empty for specified object fields",
            "S.type: Required value: must not be empty at the root",
        ]
    );
    assert_eq!(
        of_schema(json!({"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "object",
            "not": {"type": "string", "required": ["x"], "properties": {"x": {}}}}}})),
        [
            "S.properties[a].items: Required value: must be specified",
            "S.properties[b].not.type: Forbidden: must be empty to be structural",
            "S.properties[b].properties[x]: Required value: because it is defined in \
             S.properties[b].not.properties[x]",
        ]
    );
    let port = json!({"type": "object", "properties": {"port": {"x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}]}}});
    assert_eq!(of_schema(port), Vec::<String>::new());
    let metadata = json!({"type": "object", "properties": {"metadata": {"type": "object",
        "properties": {"labels": {"type": "object"}}}}});
    assert_eq!(
        of_schema(metadata),
        [
            "S.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but \
             metadata \
         is implicitly specified"
        ]
    );
}

#[test]
fn what_is_not_supported_is_refused() {
    assert_eq!(
        of_schema(json!({"type": "object", "properties": {"a": {"type": "string", "$ref": "x"},
        "b": {"type": "array", "uniqueItems": true, "items": {"type": "nothing"}}}})),
        [
            "S.properties[a].$ref: Forbidden: $ref is not supported",
            "S.properties[b].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity \
             becomes \
         quadratic",
            "S.properties[b].items.type: Unsupported value: \"nothing\": supported values: \"array\", \"boolean\", \
         \"integer\", \"number\", \"object\", \"string\"",
        ]
    );
    let map = json!({"type": "object", "properties": {"l": {"type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k", "n"],
        "items": {"type": "object", "properties": {"k": {"type": "string"}}}}}});
    assert_eq!(
        of_schema(map),
        [
            "S.properties[l].items.properties[k].default: Required value: this property is in \
         x-kubernetes-list-map-keys, so it must have a default or be a required property",
            "S.properties[l].x-kubernetes-list-map-keys: Invalid value: [\"k\",\"n\"]: entries must all be names of \
             item \
         properties",
        ]
    );
}

#[test]
fn defaults_are_values_of_their_schemas() {
    let wrong = json!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}});
    assert_eq!(
        of_schema(wrong),
        [
            "S.properties[a].default: Invalid value: \"string\": S.properties[a].default in body must be of type \
             integer: \
         \"string\""
        ]
    );
}

#[test]
fn what_is_established_stays() {
    let mut old = read(valid());
    let mut new = old.clone();
    let spec = new.spec.as_mut().unwrap();
    spec.scope = "Cluster".to_owned();
    let stored = CustomResourceDefinitionStatus { stored_versions: vec!["v1".into()], ..Default::default() };
    (old.status, new.status) = (Some(stored.clone()), Some(stored));
    assert!(update(&new, &old).is_empty());
    old.status.as_mut().unwrap().conditions.push(
        crate::apiextensions::v1::CustomResourceDefinitionCondition {
            r#type: "Established".into(),
            status: "True".into(),
            ..Default::default()
        },
    );
    assert_eq!(texts(&update(&new, &old)), ["spec.scope: Invalid value: \"Cluster\": field is immutable"]);
    new.status.as_mut().unwrap().stored_versions = vec!["v1".into(), "v0".into()];
    assert_eq!(
        texts(&status(&new)),
        ["status.storedVersions[1]: Invalid value: \"v0\": must appear in spec.versions"]
    );
}

#[test]
fn a_webhook_is_somewhere() {
    let conversion = |conversion: Value| errors(|value| value["spec"]["conversion"] = conversion.clone());
    assert_eq!(
        conversion(json!({"strategy": "Webhook"})),
        [
            "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
            "spec.conversion.conversionReviewVersions: Required value",
        ]
    );
    let url = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
        "clientConfig": {"url": "http://x"}}});
    assert_eq!(
        conversion(url),
        [
            "spec.conversion.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL \
             scheme; \
         desired format: https://host[/path]"
        ]
    );
}

#[test]
fn rules_are_expressions() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "integer", "x-kubernetes-validations": [
            {"rule": "self >"}, {"rule": ""}, {"rule": "other > 1"}, {"rule": "self > 1", "reason": "Because"},
        ]},
        "l": {"type": "array", "items": {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}},
    }});
    let texts = of_schema(schema);
    let wanted = [
        "S.properties[a].x-kubernetes-validations[0].rule: Invalid value: \"self >\": compilation failed: ERROR: \
         <input>:1:7: Syntax error: mismatched input, expecting an expression\n | self >\n | ......^",
        "S.properties[a].x-kubernetes-validations[1].rule: Required value: rule is not specified",
        "S.properties[a].x-kubernetes-validations[2].rule: Invalid value: \"other > 1\": compilation failed: ERROR: \
         <input>:1:1: undeclared reference to 'other' (in container '')\n | other > 1\n | ^",
        "S.properties[a].x-kubernetes-validations[3].reason: Unsupported value: \"Because\": supported values: \
         \"FieldValueDuplicate\", \"FieldValueForbidden\", \"FieldValueInvalid\", \"FieldValueRequired\"",
        "S.properties[l].items.x-kubernetes-validations[0].rule: Invalid value: \"self >= oldSelf\": oldSelf cannot be \
         used on the uncorrelatable portion of the schema within S.properties[l].items",
    ];
    assert_eq!(texts, wanted);
}
