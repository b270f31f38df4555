//! Pods and pod templates.

mod container;
mod environment;
mod handler;
mod mount;
mod resize;
mod resources;
mod scheduling;
mod security;
mod update;
mod volume;

use std::collections::BTreeMap;

pub use self::resize::resize as pod_resize;
pub use self::update::ephemeral_containers as ephemeral_containers_update;
pub(crate) use self::{
    handler::port,
    resources::{container_resource, quantity, requirements, resource_list},
    scheduling::{node_selector, tolerations},
    update::{annotations as annotations_update, update},
    volume::host_path,
};

use super::{
    common::{check, enumerated, required_enumerated, shown},
    meta, names,
};
use crate::core::v1::{Pod, PodSpec, PodTemplate, PodTemplateSpec, Volume};
use crate::field::{Error, ErrorList, Path};

const MAX_SECONDS: i64 = i32::MAX as i64;
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;

/// What a pod's containers may refer to.
struct Surroundings<'a> {
    volumes: BTreeMap<&'a str, &'a Volume>,
    host_network: bool,
    grace_period: Option<i64>,
}

pub(crate) fn pod(pod: &Pod) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("spec");
    match &pod.spec {
        Some(spec) => {
            pod_spec(&mut errors, spec, &path);
            if !spec.ephemeral_containers.is_empty() {
                let detail = "cannot be set on create";
                errors.push(Error::forbidden(path.child("ephemeralContainers"), detail));
            }
        }
        None => errors.push(Error::required(path.child("containers"), "")),
    }
    errors
}

pub(crate) fn pod_template(object: &PodTemplate) -> ErrorList {
    let mut errors = ErrorList::new();
    template(&mut errors, object.template.as_ref(), &Path::new("template"));
    errors
}

/// The template of a workload.
pub(crate) fn template(errors: &mut ErrorList, template: Option<&PodTemplateSpec>, path: &Path) {
    if let Some(of_template) = template.and_then(|template| template.metadata.as_ref()) {
        meta::labels(errors, &of_template.labels, &path.child("labels"));
        meta::annotations(errors, &of_template.annotations, &path.child("annotations"));
    }
    let path = path.child("spec");
    let Some(spec) = template.and_then(|template| template.spec.as_ref()) else {
        errors.push(Error::required(path.child("containers"), ""));
        return;
    };
    pod_spec(errors, spec, &path);
    if !spec.ephemeral_containers.is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        errors.push(Error::forbidden(path.child("ephemeralContainers"), detail));
    }
}

fn pod_spec(errors: &mut ErrorList, spec: &PodSpec, path: &Path) {
    let surroundings = Surroundings {
        volumes: spec.volumes.iter().map(|volume| (volume.name.as_str(), volume)).collect(),
        host_network: spec.host_network,
        grace_period: spec.termination_grace_period_seconds,
    };
    volume::volumes(errors, &spec.volumes, &path.child("volumes"));
    container::containers(errors, spec, &surroundings, path);
    required_enumerated(
        errors,
        &path.child("restartPolicy"),
        &spec.restart_policy,
        "core.v1.PodSpec.restartPolicy",
    );
    dns(errors, spec, path);
    meta::labels(errors, &spec.node_selector, &path.child("nodeSelector"));
    security::pod(errors, spec.security_context.as_ref(), &path.child("securityContext"));
    for (i, secret) in spec.image_pull_secrets.iter().enumerate() {
        meta::local_reference(errors, Some(&secret.name), &path.child("imagePullSecrets").index(i));
    }
    scheduling::affinity(errors, spec.affinity.as_ref(), &path.child("affinity"));
    scheduling::tolerations(errors, &spec.tolerations, &path.child("tolerations"));
    scheduling::spread(errors, &spec.topology_spread_constraints, &path.child("topologySpreadConstraints"));
    scheduling::gates(errors, spec, path);
    names_in_spec(errors, spec, path);
    times(errors, spec, path);
    host_aliases(errors, spec, &path.child("hostAliases"));
    for (i, gate) in spec.readiness_gates.iter().enumerate() {
        let path = path.child("readinessGates").index(i).child("conditionType");
        check(errors, &path, &gate.condition_type, names::qualified_name(&gate.condition_type));
    }
    if let Some(policy) = &spec.preemption_policy {
        enumerated(errors, &path.child("preemptionPolicy"), policy, "core.v1.PodSpec.preemptionPolicy");
    }
    if let Some(os) = &spec.os {
        required_enumerated(errors, &path.child("os").child("name"), &os.name, "core.v1.PodOS.name");
    }
    let overhead = path.child("overhead");
    resources::resource_list(errors, &spec.overhead, &overhead);
    if spec.share_process_namespace == Some(true) && spec.host_pid {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(Error::invalid(path.child("shareProcessNamespace"), true, detail));
    }
}

fn names_in_spec(errors: &mut ErrorList, spec: &PodSpec, path: &Path) {
    let labels = [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)];
    for (field, name) in labels.into_iter().filter(|(_, name)| !name.is_empty()) {
        check(errors, &path.child(field), name, names::dns1123_label(name));
    }
    let empty = String::new();
    let subdomains = [
        ("serviceAccountName", &spec.service_account_name),
        ("nodeName", &spec.node_name),
        ("priorityClassName", &spec.priority_class_name),
        ("runtimeClassName", spec.runtime_class_name.as_ref().unwrap_or(&empty)),
    ];
    for (field, name) in subdomains.into_iter().filter(|(_, name)| !name.is_empty()) {
        check(errors, &path.child(field), name, names::dns1123_subdomain(name));
    }
    // Upstream lets a scheduler have any qualified name.
    if !spec.scheduler_name.is_empty() {
        check(
            errors,
            &path.child("schedulerName"),
            &spec.scheduler_name,
            names::qualified_name(&spec.scheduler_name),
        );
    }
}

fn times(errors: &mut ErrorList, spec: &PodSpec, path: &Path) {
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| !(1..=MAX_SECONDS).contains(seconds))
    {
        let detail = format!("must be between 1 and {MAX_SECONDS}, inclusive");
        errors.push(Error::invalid(path.child("activeDeadlineSeconds"), seconds, detail));
    }
    if let Some(seconds) = spec.termination_grace_period_seconds {
        super::common::non_negative(errors, &path.child("terminationGracePeriodSeconds"), seconds);
    }
}

fn dns(errors: &mut ErrorList, spec: &PodSpec, path: &Path) {
    required_enumerated(errors, &path.child("dnsPolicy"), &spec.dns_policy, "core.v1.PodSpec.dnsPolicy");
    let path = path.child("dnsConfig");
    let nameservers =
        spec.dns_config.as_ref().map(|config| config.nameservers.as_slice()).unwrap_or_default();
    if spec.dns_policy == "None" && nameservers.is_empty() {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(Error::required(path.child("nameservers"), detail));
    }
    let Some(config) = &spec.dns_config else { return };
    if nameservers.len() > MAX_NAMESERVERS {
        let detail = format!("must not have more than {MAX_NAMESERVERS} nameservers");
        errors.push(Error::invalid(path.child("nameservers"), shown(nameservers), detail));
    }
    for (i, server) in nameservers.iter().enumerate() {
        check(errors, &path.child("nameservers").index(i), server, names::ip(server));
    }
    if config.searches.len() > MAX_SEARCHES {
        let detail = format!("must not have more than {MAX_SEARCHES} search paths");
        errors.push(Error::invalid(path.child("searches"), shown(&config.searches), detail));
    }
    for (i, search) in config.searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let name = search.strip_suffix('.').unwrap_or(search);
        check(
            errors,
            &path.child("searches").index(i),
            search,
            names::dns1123_subdomain(&name.replace('_', "-")),
        );
    }
    for (i, option) in config.options.iter().enumerate().filter(|(_, option)| option.name.is_empty()) {
        let path = path.child("options").index(i);
        errors.push(Error::required(
            path,
            format!("must not be empty: {}", option.value.as_deref().unwrap_or("")),
        ));
    }
}

fn host_aliases(errors: &mut ErrorList, spec: &PodSpec, path: &Path) {
    for (i, alias) in spec.host_aliases.iter().enumerate() {
        let path = path.index(i);
        check(errors, &path.child("ip"), &alias.ip, names::ip(&alias.ip));
        for (i, name) in alias.hostnames.iter().enumerate() {
            check(errors, &path.child("hostnames").index(i), name, names::dns1123_subdomain(name));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
