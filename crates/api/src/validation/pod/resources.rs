//! Amounts of resources.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::core::v1::{Container, ResourceRequirements};
use crate::field::{Error, ErrorList, Path};
use crate::scalars::Quantity;
use crate::validation::common::{NON_NEGATIVE, Unique, check, required_enumerated};
use crate::validation::names;

const NANOS: i128 = 1_000_000_000;

/// An amount that may not be negative.
pub(crate) fn quantity(errors: &mut ErrorList, amount: &Quantity, path: &Path) {
    match amount.nanos() {
        Err(error) => errors.push(Error::invalid(path.clone(), amount.string.as_str(), error.to_string())),
        Ok(nanos) if nanos < 0 => errors.push(Error::invalid(path.clone(), amount.to_string(), NON_NEGATIVE)),
        Ok(_) => {}
    }
}

/// Amounts of any resources, by name.
pub(crate) fn resource_list(errors: &mut ErrorList, list: &BTreeMap<String, Quantity>, path: &Path) {
    for (name, amount) in list {
        let path = path.key(name);
        check(errors, &path, name, names::qualified_name(name));
        quantity(errors, amount, &path);
    }
}

/// What the name `cpu`, `memory`, `ephemeral-storage`, `hugepages-2Mi` stand for, or anything of a vendor.
pub(crate) fn container_resource(errors: &mut ErrorList, name: &str, path: &Path) {
    let problems = names::qualified_name(name);
    if !problems.is_empty() {
        return check(errors, path, name, problems);
    }
    let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !standard && !name.contains('/') {
        errors.push(Error::invalid(
            path.clone(),
            name,
            "must be a standard resource type or fully qualified",
        ));
        errors.push(Error::invalid(path.clone(), name, "must be a standard resource for containers"));
    }
}

fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/")
}

pub(crate) fn requirements(errors: &mut ErrorList, resources: Option<&ResourceRequirements>, path: &Path) {
    let Some(resources) = resources else { return };
    for (field, list) in [("limits", &resources.limits), ("requests", &resources.requests)] {
        for (name, amount) in list {
            let path = path.child(field).key(name);
            container_resource(errors, name, &path);
            quantity(errors, amount, &path);
            let whole = amount.nanos().is_ok_and(|nanos| nanos % NANOS == 0);
            if is_extended(name) && !whole {
                errors.push(Error::invalid(path, amount.to_string(), "must be an integer"));
            }
        }
    }
    let path = path.child("requests");
    for (name, request) in &resources.requests {
        let not_overcommitted = is_extended(name) || name.starts_with("hugepages-");
        let Some(limit) = resources.limits.get(name) else {
            if not_overcommitted {
                let detail = "Limit must be set for non overcommitable resources";
                errors.push(Error::required(path.key(name), detail));
            }
            continue;
        };
        let order = request.compare(limit);
        if not_overcommitted && order != Some(Ordering::Equal) {
            let detail = format!("must be equal to {name} limit of {limit}");
            errors.push(Error::invalid(path.clone(), request.to_string(), detail));
        } else if order == Some(Ordering::Greater) {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            errors.push(Error::invalid(path.clone(), request.to_string(), detail));
        }
    }
}

pub(super) fn resize_policy(errors: &mut ErrorList, container: &Container, path: &Path) {
    let mut resources = Unique::new();
    for (i, policy) in container.resize_policy.iter().enumerate() {
        let path = path.index(i);
        required_enumerated(
            errors,
            &path.child("resourceName"),
            &policy.resource_name,
            "core.v1.ContainerResizePolicy.resourceName",
        );
        required_enumerated(
            errors,
            &path.child("restartPolicy"),
            &policy.restart_policy,
            "core.v1.ContainerResizePolicy.restartPolicy",
        );
        resources.check(errors, &path, &policy.resource_name);
    }
}
