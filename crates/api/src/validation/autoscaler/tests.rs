use serde_json::{Value, json};

use super::*;
use crate::validation::common::texts;

fn of(spec: Value) -> HorizontalPodAutoscaler {
    let mut object: HorizontalPodAutoscaler = serde_json::from_value(json!({ "spec": spec })).unwrap();
    crate::defaults::autoscaling::autoscaler(&mut object);
    object
}

fn target() -> Value {
    json!({ "kind": "Deployment", "name": "web", "apiVersion": "apps/v1" })
}

fn errors(spec: Value) -> Vec<String> {
    texts(&autoscaler(&of(spec)))
}

fn with_metric(metric: Value) -> Vec<String> {
    errors(json!({ "scaleTargetRef": target(), "maxReplicas": 2, "metrics": [metric] }))
}

#[test]
fn good_autoscalers_pass() {
    let metric = json!({ "name": "m" });
    let average = json!({ "type": "AverageValue", "averageValue": "1" });
    let whole = json!({ "type": "Value", "value": "1" });
    let percent = json!({ "type": "Utilization", "averageUtilization": 1 });
    let object = json!({ "kind": "Ingress", "name": "i" });
    for one in [
        json!({ "type": "Object", "object": { "describedObject": object, "metric": metric, "target": whole } }),
        json!({ "type": "External", "external": { "metric": metric, "target": average } }),
        json!({ "type": "Pods", "pods": { "metric": metric, "target": average } }),
        json!({ "type": "Resource", "resource": { "name": "memory", "target": average } }),
        json!({ "type": "ContainerResource", "containerResource": {
            "name": "cpu", "container": "c", "target": percent,
        } }),
    ] {
        assert_eq!(with_metric(one.clone()), Vec::<String>::new(), "{one}");
    }
    let controller = json!({ "kind": "ReplicationController", "name": "rc" });
    let behavior = json!({ "scaleUp": { "tolerance": "0.1" } });
    let spec = json!({ "scaleTargetRef": controller, "maxReplicas": 1, "behavior": behavior });
    assert_eq!(errors(spec), Vec::<String>::new());
}

#[test]
fn the_bounds_are_in_order() {
    assert_eq!(
        errors(json!({ "minReplicas": 0 })),
        [
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
            "spec.maxReplicas: Invalid value: 0: must be greater than 0",
            "spec.scaleTargetRef.kind: Required value",
            "spec.scaleTargetRef.name: Required value",
            "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
            "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero \
             replicas",
        ]
    );
    assert_eq!(
        errors(json!({ "scaleTargetRef": target(), "minReplicas": 3, "maxReplicas": 2 })),
        ["spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"]
    );
}

#[test]
fn a_metric_has_one_source() {
    assert_eq!(
        with_metric(json!({})),
        [
            "spec.metrics[0].type: Required value: must specify a metric source type",
            "spec.metrics[0].type: Unsupported value: \"\": supported values: \"ContainerResource\", \"External\", \
             \"Object\", \"Pods\", \"Resource\"",
        ]
    );
    assert_eq!(
        with_metric(json!({ "type": "Pods" })),
        ["spec.metrics[0].pods: Required value: must populate information for the given metric source"]
    );
    let pods =
        json!({ "metric": { "name": "m" }, "target": { "type": "AverageValue", "averageValue": "1" } });
    assert_eq!(
        with_metric(json!({ "type": "Pods", "pods": pods, "resource": {} })),
        ["spec.metrics[0].resource: Forbidden: must populate the given metric source only"]
    );
}

#[test]
fn targets_belong_to_their_sources() {
    let at = "spec.metrics[0]";
    let resource = |target: Value| {
        with_metric(json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } }))
    };
    assert_eq!(
        resource(json!({})),
        [
            format!("{at}.resource.target.type: Required value: must specify a metric target type"),
            format!(
                "{at}.resource.target.type: Invalid value: \"\": must be either Utilization, Value, or AverageValue"
            ),
            format!(
                "{at}.resource.target.averageUtilization: Required value: must set either a target raw value or a \
                 target utilization"
            ),
        ]
    );
    assert_eq!(
        resource(json!({ "type": "Utilization", "averageUtilization": 0, "averageValue": "0" })),
        [
            format!("{at}.resource.target.averageValue: Invalid value: \"0\": must be positive"),
            format!("{at}.resource.target.averageUtilization: Invalid value: 0: must be greater than 0"),
            format!(
                "{at}.resource.target.averageValue: Forbidden: may not set both a target raw value and a target \
                 utilization"
            ),
        ]
    );
    let external = json!({ "metric": {}, "target": { "type": "Value", "value": "1", "averageValue": "1" } });
    assert_eq!(
        with_metric(json!({ "type": "External", "external": external })),
        [
            format!("{at}.external.metric.name: Required value: must specify a metric name"),
            format!(
                "{at}.external.target.value: Forbidden: may not set both a target value for metric and a per-pod target"
            ),
        ]
    );
    let container = json!({ "name": "lamps", "target": { "type": "Value", "averageUtilization": 1 } });
    assert_eq!(
        with_metric(json!({ "type": "ContainerResource", "containerResource": container }))[2..],
        [format!("{at}.containerResource.container: Required value: must specify a container")]
    );
    let object = json!({
        "describedObject": { "kind": "I", "name": "i", "apiVersion": "a/b/c" }, "metric": { "name": "m" },
        "target": { "type": "Value" },
    });
    assert_eq!(
        with_metric(json!({ "type": "Object", "object": object })),
        [
            format!(
                "{at}.object.describedObject.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: \
                 a/b/c"
            ),
            format!(
                "{at}.object.target.averageValue: Required value: must set either a target value or averageValue"
            ),
        ]
    );
}

#[test]
fn behaviors_are_bounded() {
    let rules = json!({
        "stabilizationWindowSeconds": 3601, "selectPolicy": "Mean", "tolerance": "-1",
        "policies": [{ "type": "Nodes", "value": 0, "periodSeconds": 1801 }],
    });
    let at = "spec.behavior.scaleDown";
    assert_eq!(
        errors(json!({ "scaleTargetRef": target(), "maxReplicas": 2, "behavior": { "scaleDown": rules } })),
        [
            format!(
                "{at}.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600"
            ),
            format!(
                "{at}.selectPolicy: Unsupported value: \"Mean\": supported values: \"Disabled\", \"Max\", \"Min\""
            ),
            format!(
                "{at}.policies[0].type: Unsupported value: \"Nodes\": supported values: \"Percent\", \"Pods\""
            ),
            format!("{at}.policies[0].value: Invalid value: 0: must be greater than zero"),
            format!(
                "{at}.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800"
            ),
            format!("{at}.tolerance: Invalid value: \"-1\": must be greater than or equal to 0"),
        ]
    );
}

#[test]
fn what_was_accepted_once_stays() {
    let old = of(
        json!({ "scaleTargetRef": { "kind": "A", "name": "a" }, "minReplicas": 0, "maxReplicas": 1, "metrics": [
        { "type": "Object", "object": {
            "describedObject": { "kind": "I", "name": "i", "apiVersion": "a/b/c" }, "metric": { "name": "m" },
            "target": { "type": "Value", "value": "1" },
        } },
    ] }),
    );
    assert_eq!(autoscaler(&old).len(), 3);
    assert_eq!(update(&old, &old), []);
    let mut moved = old.clone();
    moved.spec.as_mut().unwrap().scale_target_ref.as_mut().unwrap().kind = "B".into();
    assert_eq!(update(&moved, &old).len(), 1);
}

#[test]
fn a_status_counts_from_zero() {
    let of = |status: Value| -> HorizontalPodAutoscaler {
        serde_json::from_value(json!({ "status": status })).unwrap()
    };
    assert_eq!(status_update(&of(json!({ "currentReplicas": 1 }))), []);
    assert_eq!(
        texts(&status_update(&of(json!({ "currentReplicas": -1, "desiredReplicas": -2 })))),
        [
            "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0",
            "status.desiredReplicas: Invalid value: -2: must be greater than or equal to 0",
        ]
    );
}
