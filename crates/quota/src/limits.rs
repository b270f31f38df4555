//! `LimitRange`: what containers get that say nothing, and how much they, pods and claims may ask for.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gantry_api::core::v1::{
    Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod, ResourceRequirements,
};
use gantry_api::scalars::Quantity;

use crate::amounts::Amounts;
use crate::pod::{Side, total};

/// Says which amounts of a pod a limit range has filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
const CONTAINER: &str = "Container";
const POD: &str = "Pod";
const CLAIM: &str = "PersistentVolumeClaim";

/// Fills the requests and limits that the containers of a new pod leave open.
pub fn complete(range: &LimitRange, pod: &mut Pod) {
    let defaults = Defaults::of(range);
    let Some(spec) = &mut pod.spec else { return };
    let mut filled = Vec::new();
    for container in &mut spec.containers {
        defaults.fill("container", container, &mut filled);
    }
    for container in &mut spec.init_containers {
        defaults.fill("init container", container, &mut filled);
    }
    if !filled.is_empty() {
        let text = format!("LimitRanger plugin set: {}", filled.join("; "));
        pod.metadata.get_or_insert_default().annotations.insert(ANNOTATION.to_owned(), text);
    }
}

/// What a container gets that says nothing.
struct Defaults {
    requests: Amounts,
    limits: Amounts,
}

impl Defaults {
    fn of(range: &LimitRange) -> Self {
        let mut defaults = Self { requests: Amounts::new(), limits: Amounts::new() };
        for item in items(range, CONTAINER) {
            defaults.requests.extend(item.default_request.clone());
            defaults.limits.extend(item.default.clone());
        }
        defaults
    }

    fn fill(&self, role: &str, container: &mut Container, filled: &mut Vec<String>) {
        if self.requests.is_empty() && self.limits.is_empty() {
            return;
        }
        let resources = container.resources.get_or_insert_default();
        for (side, defaults, mine) in [
            ("request", &self.requests, &mut resources.requests),
            ("limit", &self.limits, &mut resources.limits),
        ] {
            let missing: Vec<&String> = defaults.keys().filter(|name| !mine.contains_key(*name)).collect();
            if missing.is_empty() {
                continue;
            }
            let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
            filled.push(format!("{} {side} for {role} {}", names.join(", "), container.name));
            for name in missing {
                mine.insert(name.clone(), defaults[name].clone());
            }
        }
    }
}

/// Every limit that a pod breaks.
#[must_use]
pub fn check_pod(range: &LimitRange, pod: &Pod) -> Vec<String> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut broken = Vec::new();
    for item in items(range, CONTAINER) {
        for container in spec.containers.iter().chain(&spec.init_containers) {
            let resources = container.resources.as_ref();
            let none = ResourceRequirements::default();
            let resources = resources.unwrap_or(&none);
            Asked { requests: &resources.requests, limits: &resources.limits }.check(item, &mut broken);
        }
    }
    for item in items(range, POD) {
        let (requests, limits) = (total(spec, Side::Requests), total(spec, Side::Limits));
        Asked { requests: &requests, limits: &limits }.check(item, &mut broken);
    }
    broken
}

/// Every limit that a claim breaks. What it asks for is measured against both ends; it has no limits of its own.
#[must_use]
pub fn check_claim(range: &LimitRange, claim: &PersistentVolumeClaim) -> Vec<String> {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = resources.map(|resources| resources.requests.clone()).unwrap_or_default();
    let none = Amounts::new();
    let mut broken = Vec::new();
    for item in items(range, CLAIM) {
        let asked = Asked { requests: &requests, limits: &none };
        broken.extend(item.min.iter().filter_map(|(name, least)| asked.below(CLAIM, name, least)));
        let asked = Asked { requests: &none, limits: &requests };
        broken.extend(item.max.iter().filter_map(|(name, most)| asked.above(CLAIM, name, most)));
    }
    broken
}

fn items<'a>(range: &'a LimitRange, kind: &'static str) -> impl Iterator<Item = &'a LimitRangeItem> {
    range.spec.iter().flat_map(|spec| &spec.limits).filter(move |item| item.r#type == kind)
}

/// What a container or a pod asks for.
struct Asked<'a> {
    requests: &'a BTreeMap<String, Quantity>,
    limits: &'a BTreeMap<String, Quantity>,
}

impl Asked<'_> {
    fn check(&self, item: &LimitRangeItem, broken: &mut Vec<String>) {
        let of = item.r#type.as_str();
        broken.extend(item.min.iter().filter_map(|(name, least)| self.below(of, name, least)));
        broken.extend(item.max.iter().filter_map(|(name, most)| self.above(of, name, most)));
        let ratios = item.max_limit_request_ratio.iter();
        broken.extend(ratios.filter_map(|(name, ratio)| self.too_far_apart(of, name, ratio)));
    }

    fn below(&self, of: &str, name: &str, least: &Quantity) -> Option<String> {
        let rule = format!("minimum {name} usage per {of} is {least}");
        let Some(request) = self.requests.get(name) else {
            return Some(format!("{rule}.  No request is specified"));
        };
        if is(request, Ordering::Less, least) {
            return Some(format!("{rule}, but request is {request}"));
        }
        let limit = self.limits.get(name).filter(|limit| is(limit, Ordering::Less, least))?;
        Some(format!("{rule}, but limit is {limit}"))
    }

    fn above(&self, of: &str, name: &str, most: &Quantity) -> Option<String> {
        let rule = format!("maximum {name} usage per {of} is {most}");
        let Some(limit) = self.limits.get(name) else {
            return Some(format!("{rule}.  No limit is specified"));
        };
        if is(limit, Ordering::Greater, most) {
            return Some(format!("{rule}, but limit is {limit}"));
        }
        let request = self.requests.get(name).filter(|request| is(request, Ordering::Greater, most))?;
        Some(format!("{rule}, but request is {request}"))
    }

    fn too_far_apart(&self, of: &str, name: &str, most: &Quantity) -> Option<String> {
        let rule = format!("{name} max limit to request ratio per {of} is {most}");
        let amount = |amounts: &BTreeMap<String, Quantity>| {
            amounts.get(name).and_then(|amount| amount.nanos().ok()).filter(|nanos| *nanos != 0)
        };
        let Some(request) = amount(self.requests) else {
            return Some(format!("{rule}, but no request is specified or request is 0"));
        };
        let Some(limit) = amount(self.limits) else {
            return Some(format!("{rule}, but no limit is specified or limit is 0"));
        };
        let ratio = limit as f64 / request as f64;
        let most = most.nanos().ok()? as f64 / 1e9;
        (ratio > most).then(|| format!("{rule}, but provided ratio is {ratio:.6}"))
    }
}

fn is(amount: &Quantity, order: Ordering, limit: &Quantity) -> bool {
    amount.compare(limit) == Some(order)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn range(limits: serde_json::Value) -> LimitRange {
        serde_json::from_value(json!({"metadata": {"name": "limits"}, "spec": {"limits": limits}})).unwrap()
    }

    fn pod(resources: serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {"containers": [{"name": "main", "resources": resources}]}
        }))
        .unwrap()
    }

    #[test]
    fn what_is_left_open_is_filled_and_said() {
        let range = range(json!([{
            "type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "500m"}
        }]));
        let mut pod = pod(json!({"limits": {"memory": "2Gi"}}));
        complete(&range, &mut pod);
        let resources = pod.spec.as_ref().unwrap().containers[0].resources.as_ref().unwrap();
        assert_eq!(
            serde_json::to_value(resources).unwrap(),
            json!({
                "limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "500m"}
            })
        );
        assert_eq!(
            pod.metadata.as_ref().unwrap().annotations[ANNOTATION],
            "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
        );
        let once = pod.clone();
        complete(&range, &mut pod);
        assert_eq!(pod, once, "nothing is left open");
    }

    #[test]
    fn every_broken_limit_is_said() {
        let range = range(json!([
            {"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1", "memory": "1Gi"},
             "maxLimitRequestRatio": {"cpu": "2"}},
            {"type": "Pod", "max": {"memory": "2Gi"}}
        ]));
        let broken = |resources| check_pod(&range, &pod(resources));
        assert_eq!(
            broken(json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "1500m", "memory": "3Gi"}})),
            [
                "minimum cpu usage per Container is 100m, but request is 50m",
                "maximum cpu usage per Container is 1, but limit is 1500m",
                "maximum memory usage per Container is 1Gi, but limit is 3Gi",
                "cpu max limit to request ratio per Container is 2, but provided ratio is 30.000000",
                "maximum memory usage per Pod is 2Gi, but limit is 3Gi",
            ]
        );
        assert_eq!(
            broken(json!({})),
            [
                "minimum cpu usage per Container is 100m.  No request is specified",
                "maximum cpu usage per Container is 1.  No limit is specified",
                "maximum memory usage per Container is 1Gi.  No limit is specified",
                "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
                "maximum memory usage per Pod is 2Gi.  No limit is specified",
            ]
        );
        let fits = json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Gi"}});
        assert_eq!(broken(fits), Vec::<String>::new());
    }

    #[test]
    fn claims_are_measured_at_both_ends() {
        let range = range(json!([
            {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}
        ]));
        let broken = |size: &str| {
            let claim = json!({"spec": {"resources": {"requests": {"storage": size}}}});
            check_claim(&range, &serde_json::from_value(claim).unwrap())
        };
        assert_eq!(broken("1500Mi"), Vec::<String>::new());
        assert_eq!(
            broken("512Mi"),
            ["minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"]
        );
        assert_eq!(
            broken("3Gi"),
            ["maximum storage usage per PersistentVolumeClaim is 2Gi, but limit is 3Gi"]
        );
    }
}
