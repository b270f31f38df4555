//! Autoscalers.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, NONE, UNKNOWN, UNSET};
use crate::Resource;
use crate::autoscaling::v2::{
    HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};
use crate::scalars::Quantity;
use crate::strategy::age;

/// How many metrics are shown.
const SHOWN: usize = 2;

pub(in crate::strategy) const AUTOSCALER: &[Column] = &[
    Column::NAME,
    Column::new("Reference", "string", "What is scaled"),
    Column::new("Targets", "string", "What is measured, and how it should be"),
    Column::new("MinPods", "string", "The fewest replicas"),
    Column::new("MaxPods", "string", "The most replicas"),
    Column::new("Replicas", "string", "The replicas at present"),
    Column::AGE,
];

pub(in crate::strategy) fn autoscaler(object: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (object.spec.clone().unwrap_or_default(), object.status.clone().unwrap_or_default());
    let target = spec.scale_target_ref.unwrap_or_default();
    let fewest = spec.min_replicas.map(|replicas| replicas.to_string());
    vec![
        object.name().into(),
        format!("{}/{}", target.kind, target.name).into(),
        metrics(&spec.metrics, &status.current_metrics).into(),
        fewest.as_deref().unwrap_or(UNSET).into(),
        spec.max_replicas.into(),
        status.current_replicas.into(),
        age(Resource::meta(object), now),
    ]
}

fn metrics(specs: &[MetricSpec], statuses: &[MetricStatus]) -> String {
    if specs.is_empty() {
        return NONE.to_owned();
    }
    let shown = specs.iter().enumerate().take(SHOWN).map(|(i, spec)| metric(spec, statuses.get(i)));
    let text = shown.collect::<Vec<_>>().join(", ");
    if specs.len() > SHOWN { format!("{text} + {} more...", specs.len() - SHOWN) } else { text }
}

fn metric(spec: &MetricSpec, status: Option<&MetricStatus>) -> String {
    let amount = |amount: Option<&Quantity>| amount.map_or_else(|| "<nil>".to_owned(), ToString::to_string);
    // Of the whole, or of each pod.
    let whole = |target: Option<&MetricTarget>, current: Option<&MetricValueStatus>| {
        let average = target.and_then(|target| target.average_value.as_ref());
        if let Some(average) = average {
            let current = current.and_then(|current| current.average_value.as_ref());
            let current = current.map_or_else(|| UNKNOWN.to_owned(), ToString::to_string);
            return format!("{current}/{average} (avg)");
        }
        let current = current.map_or_else(|| UNKNOWN.to_owned(), |current| amount(current.value.as_ref()));
        format!("{current}/{}", amount(target.and_then(|target| target.value.as_ref())))
    };
    // Of what pods or containers use.
    let used = |name: &str, target: Option<&MetricTarget>, current: Option<&MetricValueStatus>| {
        if let Some(average) = target.and_then(|target| target.average_value.as_ref()) {
            let current =
                current.map_or_else(|| UNKNOWN.to_owned(), |current| amount(current.average_value.as_ref()));
            return format!("{name}: {current}/{average}");
        }
        let percent = |percent: Option<i32>, none: &str| {
            percent.map_or_else(|| none.to_owned(), |percent| format!("{percent}%"))
        };
        let current = percent(current.and_then(|current| current.average_utilization), UNKNOWN);
        let target = percent(target.and_then(|target| target.average_utilization), "<auto>");
        format!("{name}: {current}/{target}")
    };
    match spec.r#type.as_str() {
        "External" => {
            let source = spec.external.clone().unwrap_or_default();
            let current = status.and_then(|status| status.external.as_ref()?.current.as_ref());
            whole(source.target.as_ref(), current)
        }
        "Object" => {
            let source = spec.object.clone().unwrap_or_default();
            let current = status.and_then(|status| status.object.as_ref()?.current.as_ref());
            whole(source.target.as_ref(), current)
        }
        "Pods" => {
            let source = spec.pods.clone().unwrap_or_default();
            let current = status.and_then(|status| status.pods.as_ref()?.current.as_ref());
            let current =
                current.map_or_else(|| UNKNOWN.to_owned(), |current| amount(current.average_value.as_ref()));
            format!("{current}/{}", amount(source.target.and_then(|target| target.average_value).as_ref()))
        }
        "Resource" => {
            let source = spec.resource.clone().unwrap_or_default();
            let current = status.and_then(|status| status.resource.as_ref()?.current.as_ref());
            used(&source.name, source.target.as_ref(), current)
        }
        "ContainerResource" => {
            let source = spec.container_resource.clone().unwrap_or_default();
            let current = status.and_then(|status| status.container_resource.as_ref()?.current.as_ref());
            used(&source.name, source.target.as_ref(), current)
        }
        _ => "<unknown type>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(specs: Value, statuses: Value) -> String {
        let specs: Vec<MetricSpec> = serde_json::from_value(specs).unwrap();
        let statuses: Vec<MetricStatus> = serde_json::from_value(statuses).unwrap();
        metrics(&specs, &statuses)
    }

    #[test]
    fn an_autoscaler_shows_what_it_does() {
        let object: HorizontalPodAutoscaler = serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 5},
            "status": {"currentReplicas": 2},
        }))
        .unwrap();
        let cells = autoscaler(&object, Timestamp::UNIX_EPOCH);
        assert_eq!(json!(cells), json!(["a", "Deployment/web", "<none>", "1", 5, 2, "<unknown>"]));
        assert_eq!(cells.len(), AUTOSCALER.len());
    }

    #[test]
    fn metrics_show_what_is_and_what_should_be() {
        let cpu =
            json!({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}});
        assert_eq!(shown(json!([cpu]), json!([])), "cpu: <unknown>/80%");
        let current =
            json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 50}}});
        assert_eq!(shown(json!([cpu]), json!([current])), "cpu: 50%/80%");
        let memory =
            json!({"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi"}}});
        let pods = json!({"type": "Pods", "pods": {"target": {"averageValue": "5"}}});
        let external = json!({"type": "External", "external": {"target": {"averageValue": "3"}}});
        let object = json!({"type": "Object", "object": {"target": {"value": "9"}}});
        assert_eq!(
            shown(json!([memory, pods, external]), json!([])),
            "memory: <unknown>/1Gi, <unknown>/5 + 1 more..."
        );
        let current = json!([{"type": "External", "external": {"current": {"averageValue": "2"}}},
            {"type": "Object", "object": {"current": {"value": "7"}}}]);
        assert_eq!(shown(json!([external, object]), current), "2/3 (avg), 7/9");
        assert_eq!(shown(json!([{"type": "Mood"}]), json!([])), "<unknown type>");
    }
}
