//! The versions of autoscalers. Version 1 knows CPU alone; all else is in annotations there, under names that clients
//! know, so that nothing is lost on the way through it.

mod annotations;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::autoscaling::{v1, v2};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// What nobody else may put there.
const ALL: [&str; 4] = [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR];

/// The CPU that pods should use where nothing is measured.
const CPU_PERCENT: i32 = 80;

type Annotations = BTreeMap<String, String>;

impl From<v1::CrossVersionObjectReference> for v2::CrossVersionObjectReference {
    fn from(reference: v1::CrossVersionObjectReference) -> Self {
        Self { kind: reference.kind, name: reference.name, api_version: reference.api_version }
    }
}

impl From<v2::CrossVersionObjectReference> for v1::CrossVersionObjectReference {
    fn from(reference: v2::CrossVersionObjectReference) -> Self {
        Self { kind: reference.kind, name: reference.name, api_version: reference.api_version }
    }
}

/// The metric of version 1.
pub(crate) fn cpu(percent: i32) -> v2::MetricSpec {
    let target = v2::MetricTarget {
        r#type: "Utilization".to_owned(),
        average_utilization: Some(percent),
        ..v2::MetricTarget::default()
    };
    let resource = v2::ResourceMetricSource { name: "cpu".to_owned(), target: Some(target) };
    v2::MetricSpec { r#type: "Resource".to_owned(), resource: Some(resource), ..v2::MetricSpec::default() }
}

/// What is measured where nobody says it.
pub(crate) fn default_metrics() -> Vec<v2::MetricSpec> {
    vec![cpu(CPU_PERCENT)]
}

/// The resource and its target, where the metric is the CPU of the pods.
fn cpu_target(metric: &v2::MetricSpec) -> Option<&v2::MetricTarget> {
    let resource = metric.resource.as_ref().filter(|_| metric.r#type == "Resource")?;
    resource.target.as_ref().filter(|_| resource.name == "cpu")
}

/// Reads an annotation; one that makes no sense is as if it were not there.
fn read<T: DeserializeOwned>(annotations: &Annotations, key: &str) -> Option<T> {
    serde_json::from_str(annotations.get(key)?).ok()
}

fn write<T: Serialize>(annotations: &mut Annotations, key: &str, value: &T) {
    // Texts, numbers and lists of them: there is always JSON for these.
    if let Ok(text) = serde_json::to_string(value) {
        annotations.insert(key.to_owned(), text);
    }
}

impl From<v1::HorizontalPodAutoscaler> for v2::HorizontalPodAutoscaler {
    fn from(object: v1::HorizontalPodAutoscaler) -> Self {
        let mut metadata = object.metadata;
        let mut annotations = Annotations::new();
        if let Some(metadata) = &mut metadata {
            let (ours, others) = std::mem::take(&mut metadata.annotations)
                .into_iter()
                .partition(|(key, _)| ALL.contains(&key.as_str()));
            (annotations, metadata.annotations) = (ours, others);
        }
        let spec = object.spec.unwrap_or_default();
        let mut metrics: Vec<v2::MetricSpec> = read::<Vec<annotations::MetricSpec>>(&annotations, METRICS)
            .map(|metrics| metrics.into_iter().map(Into::into).collect())
            .unwrap_or_default();
        metrics.extend(spec.target_cpu_utilization_percentage.map(cpu));
        if metrics.is_empty() {
            metrics = default_metrics();
        }
        let behavior = read::<annotations::Behavior>(&annotations, BEHAVIOR).map(Into::into);
        Self {
            metadata,
            spec: Some(v2::HorizontalPodAutoscalerSpec {
                scale_target_ref: spec.scale_target_ref.map(Into::into),
                min_replicas: spec.min_replicas,
                max_replicas: spec.max_replicas,
                metrics,
                behavior: behavior
                    .filter(|behavior| *behavior != v2::HorizontalPodAutoscalerBehavior::default()),
            }),
            status: object.status.map(|status| status_of_v1(status, &annotations)),
        }
    }
}

fn status_of_v1(
    status: v1::HorizontalPodAutoscalerStatus,
    annotations: &Annotations,
) -> v2::HorizontalPodAutoscalerStatus {
    // What an annotation says is more than the number.
    let annotated = read::<Vec<annotations::MetricStatus>>(annotations, CURRENT_METRICS)
        .map(|metrics| metrics.into_iter().map(Into::into).collect());
    let number = || status.current_cpu_utilization_percentage.map(current_cpu).into_iter().collect();
    v2::HorizontalPodAutoscalerStatus {
        observed_generation: status.observed_generation,
        last_scale_time: status.last_scale_time,
        current_replicas: status.current_replicas,
        desired_replicas: status.desired_replicas,
        current_metrics: annotated.unwrap_or_else(number),
        conditions: read(annotations, CONDITIONS).unwrap_or_default(),
    }
}

fn current_cpu(percent: i32) -> v2::MetricStatus {
    let current =
        v2::MetricValueStatus { average_utilization: Some(percent), ..v2::MetricValueStatus::default() };
    let resource = v2::ResourceMetricStatus { name: "cpu".to_owned(), current: Some(current) };
    v2::MetricStatus {
        r#type: "Resource".to_owned(),
        resource: Some(resource),
        ..v2::MetricStatus::default()
    }
}

impl From<v2::HorizontalPodAutoscaler> for v1::HorizontalPodAutoscaler {
    fn from(object: v2::HorizontalPodAutoscaler) -> Self {
        let mut metadata = object.metadata;
        let (spec, status) = (object.spec.unwrap_or_default(), object.status);
        let mut annotated = Annotations::new();
        let is_number = |metric: &v2::MetricSpec| {
            cpu_target(metric).is_some_and(|target| target.average_utilization.is_some())
        };
        let others: Vec<annotations::MetricSpec> =
            spec.metrics.iter().filter(|metric| !is_number(metric)).cloned().map(Into::into).collect();
        if !others.is_empty() {
            write(&mut annotated, METRICS, &others);
        }
        if let Some(status) = &status {
            if !status.current_metrics.is_empty() {
                let current: Vec<annotations::MetricStatus> =
                    status.current_metrics.iter().cloned().map(Into::into).collect();
                write(&mut annotated, CURRENT_METRICS, &current);
            }
            if !status.conditions.is_empty() {
                write(&mut annotated, CONDITIONS, &status.conditions);
            }
        }
        if let Some(behavior) = spec.behavior {
            write(&mut annotated, BEHAVIOR, &annotations::Behavior::from(behavior));
        }
        let stale = |metadata: &crate::meta::v1::ObjectMeta| {
            ALL.iter().any(|key| metadata.annotations.contains_key(*key))
        };
        if !annotated.is_empty() || metadata.as_ref().is_some_and(stale) {
            let annotations = &mut metadata.get_or_insert_default().annotations;
            annotations.retain(|key, _| !ALL.contains(&key.as_str()));
            annotations.extend(annotated);
        }
        Self {
            metadata,
            spec: Some(v1::HorizontalPodAutoscalerSpec {
                scale_target_ref: spec.scale_target_ref.map(Into::into),
                min_replicas: spec.min_replicas,
                max_replicas: spec.max_replicas,
                target_cpu_utilization_percentage: spec
                    .metrics
                    .iter()
                    .find_map(cpu_target)
                    .and_then(|target| target.average_utilization),
            }),
            status: status.map(status_of_v2),
        }
    }
}

fn status_of_v2(status: v2::HorizontalPodAutoscalerStatus) -> v1::HorizontalPodAutoscalerStatus {
    let resources = status.current_metrics.iter().filter(|metric| metric.r#type == "Resource");
    let cpu =
        resources.filter_map(|metric| metric.resource.as_ref()).filter(|resource| resource.name == "cpu");
    let mut percents = cpu.filter_map(|resource| resource.current.as_ref()?.average_utilization);
    v1::HorizontalPodAutoscalerStatus {
        observed_generation: status.observed_generation,
        last_scale_time: status.last_scale_time,
        current_replicas: status.current_replicas,
        desired_replicas: status.desired_replicas,
        current_cpu_utilization_percentage: percents.next_back(),
    }
}

#[cfg(test)]
mod tests;
