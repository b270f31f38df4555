//! Autoscalers.

use crate::autoscaling::v1;
use crate::autoscaling::v2::{HorizontalPodAutoscaler, HpaScalingPolicy, HpaScalingRules};
use crate::convert::default_metrics;

const PERIOD: i32 = 15;

/// Version 1. What is measured where nothing is said follows when it becomes version 2.
pub(crate) fn autoscaler_v1(object: &mut v1::HorizontalPodAutoscaler) {
    object.spec.get_or_insert_default().min_replicas.get_or_insert(1);
    object.status.get_or_insert_default();
}

pub(crate) fn autoscaler(object: &mut HorizontalPodAutoscaler) {
    object.status.get_or_insert_default();
    let spec = object.spec.get_or_insert_default();
    spec.min_replicas.get_or_insert(1);
    if spec.metrics.is_empty() {
        spec.metrics = default_metrics();
    }
    if let Some(behavior) = &mut spec.behavior {
        // Twice as many, or four more, within a quarter of a minute; and at once.
        let up = rules(&mut behavior.scale_up, &[("Pods", 4), ("Percent", 100)]);
        up.stabilization_window_seconds.get_or_insert(0);
        // All of them; how long it is waited for is the controller's to say.
        rules(&mut behavior.scale_down, &[("Percent", 100)]);
    }
}

fn rules<'a>(rules: &'a mut Option<HpaScalingRules>, policies: &[(&str, i32)]) -> &'a mut HpaScalingRules {
    let rules = rules.get_or_insert_default();
    rules.select_policy.get_or_insert_with(|| "Max".to_owned());
    if rules.policies.is_empty() {
        let policy = |(r#type, value): &(&str, i32)| HpaScalingPolicy {
            r#type: (*r#type).to_owned(),
            value: *value,
            period_seconds: PERIOD,
        };
        rules.policies = policies.iter().map(policy).collect();
    }
    rules
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn defaulted(spec: Value) -> Value {
        let mut object: HorizontalPodAutoscaler = serde_json::from_value(json!({ "spec": spec })).unwrap();
        autoscaler(&mut object);
        let once = object.clone();
        autoscaler(&mut object);
        assert_eq!(object, once, "not idempotent");
        serde_json::to_value(object).unwrap()["spec"].take()
    }

    #[test]
    fn cpu_is_measured_where_nothing_is_said() {
        let spec = defaulted(json!({ "maxReplicas": 2 }));
        assert_eq!(spec["minReplicas"], 1);
        assert_eq!(spec["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
        assert_eq!(spec.get("behavior"), None);
        let metrics = json!([{ "type": "Pods" }]);
        assert_eq!(defaulted(json!({ "metrics": metrics }))["metrics"], metrics);
    }

    #[test]
    fn a_behavior_is_completed() {
        let spec = defaulted(json!({ "behavior": { "scaleDown": { "stabilizationWindowSeconds": 5 } } }));
        assert_eq!(
            spec["behavior"],
            json!({
                "scaleUp": { "stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                    { "type": "Pods", "value": 4, "periodSeconds": 15 },
                    { "type": "Percent", "value": 100, "periodSeconds": 15 },
                ] },
                "scaleDown": { "stabilizationWindowSeconds": 5, "selectPolicy": "Max", "policies": [
                    { "type": "Percent", "value": 100, "periodSeconds": 15 },
                ] },
            })
        );
    }
}
