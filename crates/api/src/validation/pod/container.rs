//! Containers of all three sorts.

use super::{Surroundings, environment, handler, mount, resources, security};
use crate::core::v1::{Container, ContainerPort, EphemeralContainer, PodSpec, Probe};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{Unique, check, enumerated, required, required_enumerated};
use crate::validation::names;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Regular,
    Init,
    /// An init container that stays: it has probes and hooks like a regular one.
    Sidecar,
}

pub(super) fn containers(errors: &mut ErrorList, spec: &PodSpec, around: &Surroundings<'_>, path: &Path) {
    let mut names = Unique::new();
    let mut host_ports = Unique::new();
    let host_port_texts = host_ports_of(&spec.containers);
    let mut host_port_texts = host_port_texts.iter().map(String::as_str);
    let list = path.child("containers");
    if spec.containers.is_empty() {
        errors.push(Error::required(list.clone(), ""));
    }
    for (i, container) in spec.containers.iter().enumerate() {
        let path = list.index(i);
        validate(errors, container, Sort::Regular, around, &path);
        if !container.name.is_empty() {
            names.check(errors, &path.child("name"), &container.name);
        }
        for (i, _) in container.ports.iter().enumerate().filter(|(_, port)| port.host_port != 0) {
            let text = host_port_texts.next().unwrap_or_default();
            host_ports.check(errors, &path.child("ports").index(i).child("hostPort"), text);
        }
    }
    for (i, container) in spec.init_containers.iter().enumerate() {
        let path = path.child("initContainers").index(i);
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        validate(errors, container, if sidecar { Sort::Sidecar } else { Sort::Init }, around, &path);
        if !container.name.is_empty() {
            names.check(errors, &path.child("name"), &container.name);
        }
    }
    for (i, container) in spec.ephemeral_containers.iter().enumerate() {
        let path = path.child("ephemeralContainers").index(i);
        let common = container.ephemeral_container_common.as_ref();
        let name = common.map(|common| common.name.as_str()).unwrap_or_default();
        container_name(errors, name, &path);
        names.check(errors, &path.child("name"), name);
        required(errors, &path.child("image"), common.map(|c| c.image.as_str()).unwrap_or_default());
        ephemeral(errors, container, spec, around, &path);
    }
}

/// What of an ordinary container an ephemeral one must not have, and what it refers to.
fn ephemeral(
    errors: &mut ErrorList,
    container: &EphemeralContainer,
    spec: &PodSpec,
    around: &Surroundings<'_>,
    path: &Path,
) {
    let target = container.target_container_name.as_str();
    let mut others = spec.containers.iter().chain(&spec.init_containers);
    if !target.is_empty() && !others.any(|other| other.name == target) {
        errors.push(Error::not_found(path.child("targetContainerName"), target));
    }
    let container = crate::ephemeral::container(container);
    let resources = container.resources.clone().unwrap_or_default();
    for (field, set) in [
        ("ports", !container.ports.is_empty()),
        ("resources", resources != Default::default()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
        ("lifecycle", container.lifecycle.is_some()),
    ] {
        if set {
            let detail = "cannot be set for an Ephemeral Container";
            errors.push(Error::forbidden(path.child(field), detail));
        }
    }
    for (i, mount) in container.volume_mounts.iter().enumerate() {
        let path = path.child("volumeMounts").index(i);
        for (field, value) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
            if !value.is_empty() {
                let detail = "cannot be set for an Ephemeral Container";
                errors.push(Error::forbidden(path.child(field), detail));
            }
        }
    }
    environment::variables(errors, &container.env, &path.child("env"));
    environment::sources(errors, &container.env_from, &path.child("envFrom"));
    mount::mounts(errors, &container, &around.volumes, path);
    security::container(errors, container.security_context.as_ref(), &path.child("securityContext"));
}

/// Where each host port of the containers listens, in order.
fn host_ports_of(containers: &[Container]) -> Vec<String> {
    let ports = containers.iter().flat_map(|container| &container.ports).filter(|port| port.host_port != 0);
    ports.map(|port| format!("{}/{}/{}", port.protocol, port.host_ip, port.host_port)).collect()
}

fn container_name(errors: &mut ErrorList, name: &str, path: &Path) {
    let path = path.child("name");
    if name.is_empty() {
        errors.push(Error::required(path, ""));
    } else {
        check(errors, &path, name, names::dns1123_label(name));
    }
}

fn validate(
    errors: &mut ErrorList,
    container: &Container,
    sort: Sort,
    around: &Surroundings<'_>,
    path: &Path,
) {
    container_name(errors, &container.name, path);
    image(errors, &container.image, &path.child("image"));
    required_enumerated(
        errors,
        &path.child("imagePullPolicy"),
        &container.image_pull_policy,
        "core.v1.Container.imagePullPolicy",
    );
    enumerated(
        errors,
        &path.child("terminationMessagePolicy"),
        &container.termination_message_policy,
        "core.v1.Container.terminationMessagePolicy",
    );
    ports(errors, &container.ports, around.host_network, &path.child("ports"));
    environment::variables(errors, &container.env, &path.child("env"));
    environment::sources(errors, &container.env_from, &path.child("envFrom"));
    mount::mounts(errors, container, &around.volumes, path);
    resources::requirements(errors, container.resources.as_ref(), &path.child("resources"));
    resources::resize_policy(errors, container, &path.child("resizePolicy"));
    security::container(errors, container.security_context.as_ref(), &path.child("securityContext"));
    if let Some(policy) = &container.restart_policy {
        enumerated(errors, &path.child("restartPolicy"), policy, "core.v1.Container.restartPolicy");
    }
    if sort == Sort::Init {
        not_for_init(errors, container, path);
        return;
    }
    handler::lifecycle(errors, container.lifecycle.as_ref(), around.grace_period, &path.child("lifecycle"));
    let once = |errors: &mut ErrorList, field: &str, probe: &Option<Probe>| {
        handler::probe(errors, probe.as_ref(), &path.child(field));
        if let Some(probe) = probe.as_ref().filter(|probe| probe.success_threshold != 1) {
            let path = path.child(field).child("successThreshold");
            errors.push(Error::invalid(path, probe.success_threshold, "must be 1"));
        }
    };
    once(errors, "livenessProbe", &container.liveness_probe);
    once(errors, "startupProbe", &container.startup_probe);
    let readiness = path.child("readinessProbe");
    handler::probe(errors, container.readiness_probe.as_ref(), &readiness);
    let grace = container.readiness_probe.as_ref().and_then(|probe| probe.termination_grace_period_seconds);
    if let Some(seconds) = grace {
        let path = readiness.child("terminationGracePeriodSeconds");
        errors.push(Error::invalid(path, seconds, "must not be set for readinessProbes"));
    }
}

fn image(errors: &mut ErrorList, image: &str, path: &Path) {
    required(errors, path, image);
    if image.trim() != image {
        errors.push(Error::invalid(path.clone(), image, "must not have leading or trailing whitespace"));
    }
}

fn not_for_init(errors: &mut ErrorList, container: &Container, path: &Path) {
    let fields = [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ];
    for (field, _) in fields.into_iter().filter(|(_, set)| *set) {
        let detail = "may not be set for init containers without restartPolicy=Always";
        errors.push(Error::forbidden(path.child(field), detail));
    }
}

fn ports(errors: &mut ErrorList, ports: &[ContainerPort], host_network: bool, path: &Path) {
    let mut names = Unique::new();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        if !port.name.is_empty() {
            let problems = names::port_name(&port.name);
            if problems.is_empty() {
                names.check(errors, &path.child("name"), &port.name);
            }
            check(errors, &path.child("name"), &port.name, problems);
        }
        let number = path.child("containerPort");
        if port.container_port == 0 {
            errors.push(Error::required(number.clone(), ""));
        } else {
            port_number(errors, port.container_port, &number);
        }
        if port.host_port != 0 {
            port_number(errors, port.host_port, &path.child("hostPort"));
        }
        // A template may leave the host's port open.
        if host_network && port.host_port != 0 && port.host_port != port.container_port {
            let detail = "must match `hostPort` when `hostNetwork` is true";
            errors.push(Error::invalid(number.clone(), port.container_port, detail));
        }
        required_enumerated(
            errors,
            &path.child("protocol"),
            &port.protocol,
            "core.v1.ContainerPort.protocol",
        );
        // Two names for one port are common; the same line twice is a mistake.
        if ports[..i].contains(port) && port.name.is_empty() && port.host_port == 0 {
            errors.push(Error::duplicate(number, port.container_port));
        }
    }
}

pub(super) fn port_number(errors: &mut ErrorList, port: i32, path: &Path) {
    let problems = names::port_number(port);
    errors.extend(problems.into_iter().map(|problem| Error::invalid(path.clone(), port, problem)));
}
