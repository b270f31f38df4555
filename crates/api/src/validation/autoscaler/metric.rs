//! What is measured, and how it should be.

use super::{Version, reference};
use crate::autoscaling::v2::{
    ContainerResourceMetricSource, ExternalMetricSource, MetricIdentifier, MetricSpec, MetricTarget,
    ObjectMetricSource, PodsMetricSource,
};
use crate::field::{Error, ErrorList, Path};
use crate::scalars::Quantity;
use crate::validation::common::{check, enumerated};
use crate::validation::names;

pub(super) fn validate(errors: &mut ErrorList, metric: &MetricSpec, version: Version, path: &Path) {
    let r#type = metric.r#type.as_str();
    if r#type.is_empty() {
        errors.push(Error::required(path.child("type"), "must specify a metric source type"));
    }
    enumerated(errors, &path.child("type"), r#type, "autoscaling.v2.MetricSpec.type");
    let sources = [
        ("Object", "object", metric.object.is_some()),
        ("External", "external", metric.external.is_some()),
        ("Pods", "pods", metric.pods.is_some()),
        ("Resource", "resource", metric.resource.is_some()),
        ("ContainerResource", "containerResource", metric.container_resource.is_some()),
    ];
    let given: Vec<_> = sources.iter().filter(|(_, _, given)| *given).collect();
    // Only the first is looked at: there should be no other.
    if let Some((_, field, _)) = given.first() {
        source(errors, metric, version, &path.child(field));
    }
    if let Some((_, field, false)) = sources.iter().find(|(name, _, _)| *name == r#type) {
        let detail = "must populate information for the given metric source";
        errors.push(Error::required(path.child(field), detail));
    }
    if given.len() != 1 {
        for (_, field, _) in given.into_iter().filter(|(name, _, _)| *name != r#type) {
            let detail = "must populate the given metric source only";
            errors.push(Error::forbidden(path.child(field), detail));
        }
    }
}

fn source(errors: &mut ErrorList, metric: &MetricSpec, version: Version, path: &Path) {
    if let Some(source) = &metric.object {
        object(errors, source, version, path);
    } else if let Some(source) = &metric.external {
        external(errors, source, path);
    } else if let Some(source) = &metric.pods {
        pods(errors, source, path);
    } else if let Some(source) = &metric.resource {
        resource_name(errors, &source.name, path);
        resource_target(errors, source.target.as_ref(), path);
    } else if let Some(source) = &metric.container_resource {
        container(errors, source, path);
    }
}

fn object(errors: &mut ErrorList, source: &ObjectMetricSource, version: Version, path: &Path) {
    let described = source.described_object.clone().unwrap_or_default();
    reference(errors, &described, version, &path.child("describedObject"));
    identifier(errors, source.metric.as_ref(), path);
    let target = target(errors, source.target.as_ref(), path);
    if target.value.is_none() && target.average_value.is_none() {
        let path = path.child("target").child("averageValue");
        errors.push(Error::required(path, "must set either a target value or averageValue"));
    }
}

fn external(errors: &mut ErrorList, source: &ExternalMetricSource, path: &Path) {
    identifier(errors, source.metric.as_ref(), path);
    let target = target(errors, source.target.as_ref(), path);
    let path = path.child("target");
    match (&target.value, &target.average_value) {
        (None, None) => {
            let detail = "must set either a target value for metric or a per-pod target";
            errors.push(Error::required(path.child("averageValue"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            errors.push(Error::forbidden(path.child("value"), detail));
        }
        _ => {}
    }
}

fn pods(errors: &mut ErrorList, source: &PodsMetricSource, path: &Path) {
    identifier(errors, source.metric.as_ref(), path);
    if target(errors, source.target.as_ref(), path).average_value.is_none() {
        let path = path.child("target").child("averageValue");
        errors.push(Error::required(path, "must specify a positive target averageValue"));
    }
}

fn resource_name(errors: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(Error::required(path.child("name"), "must specify a resource name"));
    }
}

fn container(errors: &mut ErrorList, source: &ContainerResourceMetricSource, path: &Path) {
    resource_name(errors, &source.name, path);
    if !source.name.is_empty() {
        crate::validation::pod::container_resource(errors, &source.name, &path.child("name"));
    }
    let name = path.child("container");
    if source.container.is_empty() {
        errors.push(Error::required(name, "must specify a container"));
    } else {
        check(errors, &name, &source.container, names::dns1123_label(&source.container));
    }
    resource_target(errors, source.target.as_ref(), path);
}

fn resource_target(errors: &mut ErrorList, wanted: Option<&MetricTarget>, path: &Path) {
    let target = target(errors, wanted, path);
    let path = path.child("target");
    match (target.average_utilization, &target.average_value) {
        (None, None) => {
            let detail = "must set either a target raw value or a target utilization";
            errors.push(Error::required(path.child("averageUtilization"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target raw value and a target utilization";
            errors.push(Error::forbidden(path.child("averageValue"), detail));
        }
        _ => {}
    }
}

/// Checks what all targets have in common, and returns the target.
fn target(errors: &mut ErrorList, target: Option<&MetricTarget>, path: &Path) -> MetricTarget {
    let (target, path) = (target.cloned().unwrap_or_default(), path.child("target"));
    let r#type = path.child("type");
    if target.r#type.is_empty() {
        errors.push(Error::required(r#type.clone(), "must specify a metric target type"));
    }
    if !matches!(target.r#type.as_str(), "Utilization" | "Value" | "AverageValue") {
        let detail = "must be either Utilization, Value, or AverageValue";
        errors.push(Error::invalid(r#type, target.r#type.as_str(), detail));
    }
    let positive = |amount: &Quantity| amount.nanos().is_ok_and(|nanos| nanos > 0);
    for (field, amount) in [("value", &target.value), ("averageValue", &target.average_value)] {
        if let Some(amount) = amount.as_ref().filter(|amount| !positive(amount)) {
            errors.push(Error::invalid(path.child(field), amount.to_string(), "must be positive"));
        }
    }
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        errors.push(Error::invalid(path.child("averageUtilization"), percent, "must be greater than 0"));
    }
    target
}

fn identifier(errors: &mut ErrorList, metric: Option<&MetricIdentifier>, path: &Path) {
    let name = metric.map(|metric| metric.name.as_str()).unwrap_or_default();
    let path = path.child("metric").child("name");
    if name.is_empty() {
        errors.push(Error::required(path, "must specify a metric name"));
    } else {
        check(errors, &path, name, names::path_segment(name));
    }
}
