use serde_json::{Value, json};

use super::*;

fn of_v1(object: Value) -> v1::HorizontalPodAutoscaler {
    serde_json::from_value(object).unwrap()
}

fn of_v2(object: Value) -> v2::HorizontalPodAutoscaler {
    serde_json::from_value(object).unwrap()
}

fn cpu_metric(percent: i32) -> Value {
    json!({ "type": "Resource", "resource": {
        "name": "cpu", "target": { "type": "Utilization", "averageUtilization": percent },
    } })
}

#[test]
fn version_1_is_about_cpu() {
    let reference = json!({ "kind": "Deployment", "name": "web", "apiVersion": "apps/v1" });
    let old = of_v1(json!({
        "metadata": { "name": "a", "annotations": { "mine": "x" } },
        "spec": { "scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50 },
        "status": { "currentReplicas": 2, "desiredReplicas": 3, "currentCPUUtilizationPercentage": 70 },
    }));
    let new = v2::HorizontalPodAutoscaler::from(old.clone());
    let shown = serde_json::to_value(&new).unwrap();
    assert_eq!(shown["spec"]["scaleTargetRef"], reference);
    assert_eq!(shown["spec"]["metrics"], json!([cpu_metric(50)]));
    assert_eq!(
        shown["status"]["currentMetrics"],
        json!([{ "type": "Resource", "resource": { "name": "cpu", "current": { "averageUtilization": 70 } } }])
    );
    let back = v1::HorizontalPodAutoscaler::from(new);
    assert_eq!((&back.spec, &back.status), (&old.spec, &old.status));
    // The server's view has more than the number.
    let annotations = &back.metadata.unwrap().annotations;
    assert_eq!(annotations["mine"], "x");
    assert_eq!(
        annotations[CURRENT_METRICS],
        r#"[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":70,"currentAverageValue":"0"}}]"#
    );
}

#[test]
fn nothing_said_means_eighty_percent() {
    let new = v2::HorizontalPodAutoscaler::from(v1::HorizontalPodAutoscaler::default());
    assert_eq!(new.spec.clone().unwrap().metrics, default_metrics());
    let back = v1::HorizontalPodAutoscaler::from(new);
    assert_eq!(back.spec.unwrap().target_cpu_utilization_percentage, Some(80));
    assert_eq!(back.metadata, None);
}

#[test]
fn all_else_is_in_annotations() {
    let metrics = json!([
        { "type": "Object", "object": {
            "describedObject": { "kind": "Ingress", "name": "i" }, "metric": { "name": "requests" },
            "target": { "type": "Value", "value": "10" },
        } },
        { "type": "Pods", "pods": {
            "metric": { "name": "m", "selector": { "matchLabels": { "a": "b" } } },
            "target": { "type": "AverageValue", "averageValue": "5" },
        } },
        { "type": "Resource", "resource": { "name": "memory", "target": { "type": "AverageValue", "averageValue": "1Gi" } } },
        { "type": "ContainerResource", "containerResource": {
            "name": "cpu", "container": "c", "target": { "type": "Utilization", "averageUtilization": 40 },
        } },
        { "type": "External", "external": { "metric": { "name": "q" }, "target": { "type": "Value", "value": "3" } } },
        cpu_metric(60),
    ]);
    let policies = json!([{ "type": "Pods", "value": 4, "periodSeconds": 15 }]);
    let new = of_v2(json!({
        "metadata": { "name": "a", "annotations": { BEHAVIOR: "stale" } },
        "spec": {
            "scaleTargetRef": { "kind": "Deployment", "name": "web" }, "maxReplicas": 5, "metrics": metrics,
            "behavior": { "scaleUp": { "policies": policies, "selectPolicy": "Max", "tolerance": "50m" } },
        },
        "status": {
            "desiredReplicas": 1,
            "currentMetrics": [
                { "type": "External", "external": { "metric": { "name": "q" }, "current": { "value": "4" } } },
                { "type": "Resource", "resource": { "name": "cpu", "current": {
                    "averageValue": "100m", "averageUtilization": 30,
                } } },
            ],
            "conditions": [{ "type": "AbleToScale", "status": "True" }],
        },
    }));
    let old = v1::HorizontalPodAutoscaler::from(new.clone());
    assert_eq!(old.spec.as_ref().unwrap().target_cpu_utilization_percentage, Some(60));
    assert_eq!(old.status.as_ref().unwrap().current_cpu_utilization_percentage, Some(30));
    let annotations = &old.metadata.as_ref().unwrap().annotations;
    assert!(
        annotations[METRICS].starts_with(
            r#"[{"type":"Object","object":{"target":{"kind":"Ingress","name":"i"},"metricName":"requests","targetValue":"10"}},"#
        ),
        "{}",
        annotations[METRICS]
    );
    assert_eq!(
        annotations[BEHAVIOR],
        r#"{"ScaleUp":{"StabilizationWindowSeconds":null,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}],"Tolerance":"50m"},"ScaleDown":null}"#
    );
    let mut back = v2::HorizontalPodAutoscaler::from(old);
    assert!(back.metadata.as_ref().unwrap().annotations.is_empty());
    back.metadata = new.metadata.clone();
    assert_eq!(back, new);
}

#[test]
fn annotations_that_make_no_sense_are_none() {
    let of = |key: &str, text: &str| {
        v2::HorizontalPodAutoscaler::from(of_v1(json!({
            "metadata": { "annotations": { key: text } }, "spec": { "targetCPUUtilizationPercentage": 10 }, "status": {},
        })))
    };
    for key in ALL {
        let object = of(key, "no JSON");
        assert_eq!(object.spec.unwrap().metrics, [cpu(10)], "{key}");
        assert!(object.metadata.unwrap().annotations.is_empty(), "{key}");
    }
    assert_eq!(of(BEHAVIOR, "{}").spec.unwrap().behavior, None);
    let small =
        of(BEHAVIOR, r#"{"scaleDown":{"policies":[{"type":"Percent","value":1,"periodSeconds":2}]}}"#);
    let rules = small.spec.unwrap().behavior.unwrap().scale_down.unwrap();
    assert_eq!((rules.policies[0].r#type.as_str(), rules.policies[0].period_seconds), ("Percent", 2));
}
