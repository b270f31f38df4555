//! Pods and pod templates.

use super::{number, text, volume};
use crate::core::v1::{
    Container, ContainerPort, EnvVar, EphemeralContainerCommon, HttpGetAction, Lifecycle, LifecycleHandler,
    Pod, PodSpec, PodTemplate, PodTemplateSpec, Probe, ProbeHandler, ResourceRequirements,
};

const TERMINATION_LOG: &str = "/dev/termination-log";
const GRACE_PERIOD_SECONDS: i64 = 30;

/// A pod. Beyond what holds for templates too, its requests follow from its limits.
pub(crate) fn pod(pod: &mut Pod) {
    let Some(spec) = &mut pod.spec else { return };
    pod_spec(spec);
    spec.enable_service_links.get_or_insert(true);
    for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
        if let Some(resources) = &mut container.resources {
            requests_from_limits(resources);
        }
        if spec.host_network {
            container.ports.iter_mut().for_each(|port| number(&mut port.host_port, port.container_port));
        }
    }
}

pub(crate) fn pod_template(object: &mut PodTemplate) {
    template(object.template.as_mut());
}

pub(crate) fn template(template: Option<&mut PodTemplateSpec>) {
    if let Some(spec) = template.and_then(|template| template.spec.as_mut()) {
        pod_spec(spec);
    }
}

fn pod_spec(spec: &mut PodSpec) {
    text(&mut spec.dns_policy, "ClusterFirst");
    text(&mut spec.restart_policy, "Always");
    text(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(GRACE_PERIOD_SECONDS);
    // Two names of one field.
    if spec.service_account_name.is_empty() {
        spec.service_account_name.clone_from(&spec.service_account);
    }
    spec.service_account.clone_from(&spec.service_account_name);
    spec.volumes.iter_mut().for_each(volume::volume);
    spec.containers.iter_mut().for_each(container);
    spec.init_containers.iter_mut().for_each(container);
    let ephemeral = spec.ephemeral_containers.iter_mut();
    ephemeral.filter_map(|c| c.ephemeral_container_common.as_mut()).for_each(ephemeral_container);
}

fn container(container: &mut Container) {
    text(&mut container.image_pull_policy, pull_policy(&container.image));
    text(&mut container.termination_message_path, TERMINATION_LOG);
    text(&mut container.termination_message_policy, "File");
    container.resources.get_or_insert_default();
    ports(&mut container.ports);
    env(&mut container.env);
    let probes =
        [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(probe);
    lifecycle(container.lifecycle.as_mut());
}

fn ephemeral_container(container: &mut EphemeralContainerCommon) {
    text(&mut container.image_pull_policy, pull_policy(&container.image));
    text(&mut container.termination_message_path, TERMINATION_LOG);
    text(&mut container.termination_message_policy, "File");
    container.resources.get_or_insert_default();
    ports(&mut container.ports);
    env(&mut container.env);
    let probes =
        [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(probe);
    lifecycle(container.lifecycle.as_mut());
}

fn ports(ports: &mut [ContainerPort]) {
    ports.iter_mut().for_each(|port| text(&mut port.protocol, "TCP"));
}

fn env(env: &mut [EnvVar]) {
    for source in env.iter_mut().filter_map(|variable| variable.value_from.as_mut()) {
        if let Some(field) = &mut source.field_ref {
            text(&mut field.api_version, "v1");
        }
        if let Some(file) = &mut source.file_key_ref {
            file.optional.get_or_insert(false);
        }
    }
}

fn probe(probe: &mut Probe) {
    number(&mut probe.timeout_seconds, 1);
    number(&mut probe.period_seconds, 10);
    number(&mut probe.success_threshold, 1);
    number(&mut probe.failure_threshold, 3);
    let Some(ProbeHandler { http_get: http, grpc, .. }) = &mut probe.handler else { return };
    http.as_mut().map(http_get);
    if let Some(grpc) = grpc {
        grpc.service.get_or_insert_default();
    }
}

fn lifecycle(lifecycle: Option<&mut Lifecycle>) {
    let Some(Lifecycle { post_start, pre_stop, .. }) = lifecycle else { return };
    for LifecycleHandler { http_get: http, .. } in [post_start, pre_stop].into_iter().flatten() {
        http.as_mut().map(http_get);
    }
}

fn http_get(action: &mut HttpGetAction) {
    text(&mut action.path, "/");
    text(&mut action.scheme, "HTTP");
}

/// `Always` for what may move (`latest`, or no tag at all), else `IfNotPresent`.
pub(super) fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    // A colon before the last slash belongs to the registry's port.
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = last.split_once(':').map(|(_, tag)| tag);
    match tag {
        Some("latest") => "Always",
        Some(_) => "IfNotPresent",
        None if digest => "IfNotPresent",
        None => "Always",
    }
}

fn requests_from_limits(resources: &mut ResourceRequirements) {
    for (name, limit) in &resources.limits {
        resources.requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::v1::GrpcAction;

    fn spec(json: serde_json::Value) -> Pod {
        let mut pod: Pod = serde_json::from_value(serde_json::json!({ "spec": json })).unwrap();
        super::pod(&mut pod);
        let once = pod.clone();
        super::pod(&mut pod);
        assert_eq!(pod, once, "not idempotent");
        pod
    }

    #[test]
    fn a_minimal_pod_is_completed() {
        let pod = spec(serde_json::json!({ "containers": [{ "name": "c", "image": "nginx:1.25" }] }));
        let spec = pod.spec.unwrap();
        assert_eq!(spec.restart_policy, "Always");
        assert_eq!(spec.dns_policy, "ClusterFirst");
        assert_eq!(spec.scheduler_name, "default-scheduler");
        assert_eq!(spec.termination_grace_period_seconds, Some(30));
        assert_eq!(spec.enable_service_links, Some(true));
        assert!(spec.security_context.is_some());
        let container = &spec.containers[0];
        assert_eq!(container.image_pull_policy, "IfNotPresent");
        assert_eq!(container.termination_message_path, "/dev/termination-log");
        assert_eq!(container.termination_message_policy, "File");
    }

    #[test]
    fn what_is_given_stays() {
        let pod = spec(serde_json::json!({
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "enableServiceLinks": false,
            "containers": [{ "name": "c", "image": "x", "imagePullPolicy": "Never" }],
        }));
        let spec = pod.spec.unwrap();
        assert_eq!(spec.restart_policy, "Never");
        assert_eq!(spec.termination_grace_period_seconds, Some(0));
        assert_eq!(spec.enable_service_links, Some(false));
        assert_eq!(spec.containers[0].image_pull_policy, "Never");
    }

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for image in ["nginx", "nginx:latest", "localhost:5000/nginx", "a/b:latest"] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        for image in ["nginx:1.25", "localhost:5000/nginx:v1", "nginx@sha256:00", "nginx:1.25@sha256:00"] {
            assert_eq!(pull_policy(image), "IfNotPresent", "{image}");
        }
    }

    #[test]
    fn requests_follow_limits_in_pods_but_not_in_templates() {
        let json = serde_json::json!({ "containers": [{
            "name": "c", "image": "x",
            "resources": { "limits": { "cpu": "1", "memory": "64Mi" }, "requests": { "cpu": "500m" } },
        }] });
        let resources = spec(json.clone()).spec.unwrap().containers.remove(0).resources.unwrap();
        assert_eq!(resources.requests["cpu"].string, "500m");
        assert_eq!(resources.requests["memory"].string, "64Mi");
        let mut template: PodTemplateSpec =
            serde_json::from_value(serde_json::json!({ "spec": json })).unwrap();
        super::template(Some(&mut template));
        let resources = template.spec.unwrap().containers.remove(0).resources.unwrap();
        assert!(!resources.requests.contains_key("memory"));
    }

    #[test]
    fn probes_ports_and_environment() {
        let pod = spec(serde_json::json!({ "hostNetwork": true, "containers": [{
            "name": "c", "image": "x",
            "ports": [{ "containerPort": 80 }],
            "env": [{ "name": "N", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
            "readinessProbe": { "httpGet": { "port": 80 } },
            "livenessProbe": { "grpc": { "port": 90 }, "periodSeconds": 3 },
            "lifecycle": { "preStop": { "httpGet": { "port": 80 } } },
        }] }));
        let container = pod.spec.unwrap().containers.remove(0);
        assert_eq!((container.ports[0].protocol.as_str(), container.ports[0].host_port), ("TCP", 80));
        let field = container.env[0].value_from.as_ref().unwrap().field_ref.as_ref().unwrap();
        assert_eq!(field.api_version, "v1");
        let readiness = container.readiness_probe.unwrap();
        assert_eq!(readiness.timeout_seconds, 1);
        assert_eq!(readiness.period_seconds, 10);
        assert_eq!((readiness.success_threshold, readiness.failure_threshold), (1, 3));
        let http = readiness.handler.unwrap().http_get.unwrap();
        assert_eq!((http.path.as_str(), http.scheme.as_str()), ("/", "HTTP"));
        let liveness = container.liveness_probe.unwrap();
        assert_eq!(liveness.period_seconds, 3);
        let grpc = GrpcAction { port: 90, service: Some(String::new()) };
        assert_eq!(liveness.handler.unwrap().grpc, Some(grpc));
        assert_eq!(container.lifecycle.unwrap().pre_stop.unwrap().http_get.unwrap().path, "/");
    }

    #[test]
    fn both_names_of_the_service_account_agree() {
        let old = spec(serde_json::json!({ "serviceAccount": "a", "containers": [] })).spec.unwrap();
        assert_eq!(old.service_account_name, "a");
        let new = spec(serde_json::json!({ "serviceAccountName": "b", "containers": [] })).spec.unwrap();
        assert_eq!(new.service_account, "b");
    }
}
