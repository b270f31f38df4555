//! Limit ranges and resource quotas.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{
    common::{enumerated, required_enumerated},
    pod,
};
use crate::core::v1::{LimitRange, LimitRangeItem, ResourceQuota, ResourceQuotaSpec};
use crate::field::{Error, ErrorList, Path};
use crate::scalars::Quantity;

pub(crate) fn limit_range(range: &LimitRange) -> ErrorList {
    let mut errors = ErrorList::new();
    let limits = range.spec.as_ref().map(|spec| spec.limits.as_slice()).unwrap_or_default();
    for (i, item) in limits.iter().enumerate() {
        let path = Path::new("spec").child("limits").index(i);
        required_enumerated(&mut errors, &path.child("type"), &item.r#type, "core.v1.LimitRangeItem.type");
        if limits[..i].iter().any(|other| other.r#type == item.r#type) {
            errors.push(Error::duplicate(path.child("type"), item.r#type.as_str()));
        }
        limit(&mut errors, item, &path);
    }
    errors
}

fn limit(errors: &mut ErrorList, item: &LimitRangeItem, path: &Path) {
    let lists = [
        ("min", &item.min),
        ("max", &item.max),
        ("default", &item.default),
        ("defaultRequest", &item.default_request),
        ("maxLimitRequestRatio", &item.max_limit_request_ratio),
    ];
    for (field, list) in lists {
        pod::resource_list(errors, list, &path.child(field));
    }
    if item.r#type == "Pod" {
        for (field, list) in [("default", &item.default), ("defaultRequest", &item.default_request)] {
            if !list.is_empty() {
                let detail = "may not be specified when `type` is 'Pod'";
                errors.push(Error::forbidden(path.child(field), detail));
            }
        }
    }
    // Each of the left is at most the one to its right.
    let ordered = [
        ("min", &item.min, "max", &item.max),
        ("min", &item.min, "defaultRequest", &item.default_request),
        ("min", &item.min, "default", &item.default),
        ("defaultRequest", &item.default_request, "max", &item.max),
        ("defaultRequest", &item.default_request, "default", &item.default),
        ("default", &item.default, "max", &item.max),
    ];
    for (low, lows, high, highs) in ordered {
        for (name, (low_amount, high_amount)) in both(lows, highs) {
            if low_amount.compare(high_amount) == Some(Ordering::Greater) {
                let detail = format!("{low} value {low_amount} is greater than {high} value {high_amount}");
                errors.push(Error::invalid(path.child(low).key(name), low_amount.to_string(), detail));
            }
        }
    }
}

type List = BTreeMap<String, Quantity>;

fn both<'a>(
    left: &'a List,
    right: &'a List,
) -> impl Iterator<Item = (&'a str, (&'a Quantity, &'a Quantity))> {
    left.iter().filter_map(|(name, amount)| Some((name.as_str(), (amount, right.get(name)?))))
}

pub(crate) fn quota(quota: &ResourceQuota) -> ErrorList {
    let mut errors = ErrorList::new();
    let Some(spec) = &quota.spec else { return errors };
    let path = Path::new("spec");
    pod::resource_list(&mut errors, &spec.hard, &path.child("hard"));
    for scope in &spec.scopes {
        enumerated(&mut errors, &path.child("scopes"), scope, "core.v1.ResourceQuotaSpec.scopes");
    }
    let has = |scope: &str| spec.scopes.iter().any(|other| other == scope);
    if has("BestEffort") && has("NotBestEffort") || has("Terminating") && has("NotTerminating") {
        let value = super::common::shown(&spec.scopes);
        errors.push(Error::invalid(path.child("scopes"), value, "conflicting scopes"));
    }
    errors
}

pub(crate) fn quota_update(new: &ResourceQuota, old: &ResourceQuota) -> ErrorList {
    let mut errors = quota(new);
    let scopes = |quota: &ResourceQuota| {
        let empty = ResourceQuotaSpec::default();
        let mut scopes = quota.spec.as_ref().unwrap_or(&empty).scopes.clone();
        scopes.sort();
        scopes
    };
    super::common::immutable(&mut errors, &Path::new("spec").child("scopes"), &scopes(new), &scopes(old));
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn range(item: Value) -> ErrorList {
        limit_range(&serde_json::from_value(json!({ "spec": { "limits": [item] } })).unwrap())
    }

    #[test]
    fn limits_are_in_order() {
        assert_eq!(range(json!({ "type": "Container", "min": { "cpu": "1" }, "max": { "cpu": "2" } })), []);
        assert_eq!(
            range(json!({ "type": "Container", "min": { "cpu": "3" }, "max": { "cpu": "2" } })).len(),
            1
        );
        assert_eq!(range(json!({ "type": "Pod", "default": { "cpu": "1" } })).len(), 1);
        assert_eq!(range(json!({ "type": "House" })).len(), 1);
    }

    #[test]
    fn scopes_are_known_and_do_not_exclude_each_other() {
        let of = |spec: Value| quota(&serde_json::from_value(json!({ "spec": spec })).unwrap());
        assert_eq!(of(json!({ "hard": { "pods": "10" }, "scopes": ["BestEffort"] })), []);
        assert_eq!(of(json!({ "hard": { "pods": "-1" } })).len(), 1);
        assert_eq!(of(json!({ "scopes": ["Terminating", "NotTerminating"] })).len(), 1);
        assert_eq!(of(json!({ "scopes": ["Other"] })).len(), 1);
    }
}
